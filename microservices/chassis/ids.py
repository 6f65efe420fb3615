"""ULIDs: identifiers that sort by creation and can be made anywhere without asking."""

from __future__ import annotations

from ulid import ULID

ULID_PATTERN = "^[0-7][0-9A-HJKMNP-TV-Z]{25}$"


def new_id() -> str:
    """A new ULID, 26 characters of Crockford's base 32."""
    return str(ULID())
