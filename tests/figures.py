"""What a test counts and how far it is: shown when all have ended, gathered by `make race`."""

from __future__ import annotations

import sys
from typing import Protocol


class Listener(Protocol):
    """Takes what tests tell, instead of the screen."""

    def figure(self, promise: str, text: str) -> None:
        """See the function of this name."""

    def reached(self, part: float) -> None:
        """See the function of this name."""


listeners: list[Listener] = []
# Before a figure, on a line of its own.
INDENT = "    "


def figure(promise: str, text: str) -> None:
    """Tell what was counted.

    Args:
        promise: `promise 7`, or a few words for what is none of the numbered ones.
        text: the figures.
    """
    for listener in listeners:
        listener.figure(promise, text)
    if not listeners:
        sys.stdout.write(f"\n{INDENT}{promise}: {text}")
        sys.stdout.flush()


def reached(part: float) -> None:
    """Tell how much of a long test is done, from 0 to 1."""
    for listener in listeners:
        listener.reached(part)
