"""One checkout of a cart at a time: a lock in Redis that saves work, and guards nothing.

The claim in the database decides (`open_order`, the unique index on cart and version). Whoever
finds the lock taken asks again a moment later, and then gets the first one's definite outcome
instead of "under way". A lock that expires in the middle, or a Redis that is away, costs nothing
but the work that would have been saved.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import structlog
from redis import Redis
from redis.exceptions import LockError, RedisError
from redis.lock import Lock

# After Redis did not answer, nobody waits for it again for so long.
LEFT_ALONE_SECONDS = 5.0
# Whoever was told how the last purchase of the cart ended asks again before its lock is let go.
MOMENT_SECONDS = 0.25

log = structlog.get_logger()


class CartLock:
    """Locks of carts, each held for one wish to buy it."""

    def __init__(self, redis: Redis, seconds: float) -> None:
        """Nothing connects before the first use.

        Args:
            redis: with short time-outs, for a shopper waits.
            seconds: after which a lock ends by itself; longer than a checkout may take.
        """
        self._redis = redis
        self._seconds = seconds
        self._left_alone_until = 0.0

    @contextmanager
    def held(self, cart_id: str, wish: str) -> Iterator[bool]:
        """Try to hold a cart's lock for the time of the block; whether nobody else holds it.

        It is waited for no longer than its holder takes to let it go after the order's end. A lock
        that the same wish holds already, because its first request died or still runs, is no
        hindrance: that one is between the two and the database.
        """
        lock = self._redis.lock(f"checkout:{cart_id}", self._seconds, sleep=0.02)
        free = self._acquire(lock, wish)
        try:
            yield free
        finally:
            if free:
                self._release(lock)

    def _acquire(self, lock: Lock, wish: str) -> bool:
        if time.monotonic() < self._left_alone_until:
            return True
        try:
            if lock.acquire(token=wish, blocking=False):
                return True
            lock.local.token = wish.encode()
            if lock.owned():
                return True
            return bool(lock.acquire(token=wish, blocking_timeout=MOMENT_SECONDS))
        except RedisError as error:
            self._left_alone_until = time.monotonic() + LEFT_ALONE_SECONDS
            log.warning("cart_lock_skipped", error=repr(error)[:200])
            return True

    def _release(self, lock: Lock) -> None:
        # It may have expired, and be somebody else's by now: then it is left alone.
        with suppress(LockError, RedisError):
            if lock.local.token is not None:
                lock.release()
