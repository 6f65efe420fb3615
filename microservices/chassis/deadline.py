"""How long the work at hand may still take, known to whatever has to wait for it.

The deadline is ambient, as in trio's cancel scopes: a pool of SQLAlchemy and the wait callback of
psycopg2 take no arguments of ours, and one that is passed on by hand is forgotten somewhere. It is
kept per thread on the monotonic clock, and a scope inside another only shortens it. Between
services it travels as the seconds that are left, because their clocks differ.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from chassis.problems import Unavailable

# Milliseconds that whoever asks another service will wait for the answer.
HEADER = "X-Request-Timeout-Ms"
# An answer takes its time too: a service is told to end so much sooner than it is waited for.
WAY_BACK_SECONDS = 0.2

_end: ContextVar[float] = ContextVar("deadline", default=math.inf)


class DeadlinePassed(Unavailable):
    """There was no time left to ask; what was about to be asked was not."""


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What runs inside waits no longer than `seconds` in all, or than the scope around it."""
    token = _end.set(min(_end.get(), time.monotonic() + seconds))
    try:
        yield
    finally:
        _end.reset(token)


def remaining() -> float:
    """Seconds left: never negative, and infinite where nobody waits."""
    return max(0.0, _end.get() - time.monotonic())


def check() -> None:
    """Raise DeadlinePassed when nothing is left."""
    if not remaining():
        raise DeadlinePassed("There was no time left to do it; try again.")


def header() -> dict[str, str]:
    """The header that tells another service how long it may take; empty without a deadline."""
    left = remaining()
    if math.isinf(left):
        return {}
    return {HEADER: str(max(1, int(1000 * max(left - WAY_BACK_SECONDS, left / 2))))}


def from_header(value: str | None) -> float:
    """The seconds that a caller waits; infinite when it does not say so, or says nonsense."""
    if value is None or not value.isascii() or not value.isdigit() or len(value) > 9:
        return math.inf
    return int(value) / 1000
