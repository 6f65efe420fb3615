"""Consistency tokens: `X-Consistency-Token: catalog:0/3000148` is the position of a write.

A read that presents it sees at least that write. Tokens of several services are joined by commas.
"""

from __future__ import annotations

import re

TOKEN_HEADER = "X-Consistency-Token"


def position_in(token: str | None, name: str) -> str | None:
    """The LSN for service `name` in a token of one or more `name:lsn` parts, if it is there."""
    found = re.search(rf"(?:^|,)\s*{name}:([0-9A-F]{{1,8}}/[0-9A-F]{{1,8}})\s*(?:,|$)", token or "")
    return found.group(1) if found else None
