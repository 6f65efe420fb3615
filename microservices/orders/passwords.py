"""Password hashes, and a bound on how much of a process they may take.

bcrypt is slow on purpose, so a flood of logins could occupy every thread and core. Only a few run
at once, few more may wait for that, and the rest are told to come back.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import bcrypt

from chassis import one_core
from chassis.problems import Unavailable

LEAST_CHARACTERS = 8
# bcrypt does not see beyond; a longer password is refused, never cut.
MOST_BYTES = 72

AT_ONCE = 2
MOST_WAITING = 8
WAIT_SECONDS = 3.0

_admitted = threading.BoundedSemaphore(AT_ONCE + MOST_WAITING)
_running = threading.BoundedSemaphore(AT_ONCE)


@contextmanager
def turn() -> Iterator[None]:
    """One of the few turns that this process has for hashing; not to be nested.

    Raises:
        Unavailable: too many wait already, or the turn did not come in time.
    """
    if not _admitted.acquire(blocking=False):
        raise Unavailable("Too many passwords are being checked; try again.")
    try:
        if not _running.acquire(timeout=WAIT_SECONDS):
            raise Unavailable("Checking the password took too long; try again.")
        try:
            with one_core.process.anywhere():
                yield
        finally:
            _running.release()
    finally:
        _admitted.release()


def make_hash(password: str, rounds: int) -> str:
    """The bcrypt hash of a password of at most `MOST_BYTES`.

    Raises:
        Unavailable: there was no turn for it (see `turn`).
    """
    with turn():
        return bcrypt.hashpw(password.encode(), bcrypt.gensalt(rounds)).decode()


def matches(password: str, password_hash: str | None, rounds: int) -> bool:
    """Whether a password is the one of this hash; to be called in a `turn`.

    Without a hash the answer is no, and takes as long as any other.
    """
    same = bcrypt.checkpw(password.encode(), (password_hash or _dummy(rounds)).encode())
    return same and password_hash is not None


def outdated(password_hash: str, rounds: int) -> bool:
    """Whether a hash was made at another cost, and so takes another time to check."""
    return int(password_hash.split("$")[2]) != rounds


def _dummy(rounds: int) -> str:
    # Version, cost, a salt and a digest that no password is known to have.
    return f"$2b${rounds:02d}$" + "." * 22 + "." * 31
