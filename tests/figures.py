"""What a test counted, one line per promise: shown with `-s`, gathered by `make race`."""

from __future__ import annotations

import sys
from collections.abc import Callable

# Takes each figure instead of the screen, while somebody gathers them.
listeners: list[Callable[[str, str], None]] = []


def figure(promise: str, text: str) -> None:
    """Tell what was counted.

    Args:
        promise: `promise 7`, or a few words for what is none of the numbered ones.
        text: the figures.
    """
    for listen in listeners:
        listen(promise, text)
    if not listeners:
        sys.stdout.write(f"\n    {promise}: {text}")
        sys.stdout.flush()
