"""Opaque cursors for lists: the sort key of the last row shown, so that pages stay in place
while rows come and go."""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

from chassis.problems import Unprocessable


def encode(order: str, key: list[Any]) -> str:
    """A cursor after the row with this key, in the list with this order."""
    raw = json.dumps([order, *key], separators=(",", ":"), ensure_ascii=False).encode()
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def decode(cursor: str, order: str, types: tuple[type, ...]) -> list[Any]:
    """The key in a cursor.

    Raises:
        Unprocessable: it is not one of ours, or was made for another order.
    """
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
        parts = json.loads(raw)
        json.dumps(parts, ensure_ascii=False).encode()  # no lone surrogates
    except (ValueError, binascii.Error, RecursionError):
        parts = None
    fits = (
        isinstance(parts, list)
        and len(parts) == len(types) + 1
        and parts[0] == order
        and all(type(part) is kind for part, kind in zip(parts[1:], types, strict=True))
        and not any(isinstance(part, int) and abs(part) >= 2**62 for part in parts[1:])
        and not any(isinstance(part, str) and "\0" in part for part in parts[1:])
    )
    if not fits:
        raise Unprocessable.field("cursor", "is not a cursor of this list")
    return list(parts[1:])
