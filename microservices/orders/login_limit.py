"""How many logins may fail: per account and address, and per address, within a minute.

The counts are in Redis, so that all processes share them. While Redis is away each process counts
for itself: logins go on, and guessing stays slow. Keys are keyed hashes; no e-mail and no address
is stored.
"""

from __future__ import annotations

import hmac
import ipaddress
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import structlog
from flask import Flask, current_app
from limits import RateLimitItem, RateLimitItemPerMinute
from limits.storage import MemoryStorage, RedisStorage
from limits.strategies import MovingWindowRateLimiter
from redis import ConnectionPool
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from chassis.problems import TooManyRequests
from orders.settings import Settings

EXTENSION = "login_limit"
PREFIX = "login-failures"
REDIS_SECONDS = 0.25
RETRY_REDIS_SECONDS = 5.0

Answer = TypeVar("Answer")

log = structlog.get_logger()


class LoginLimit:
    """Counts failed logins of the last minute; those that succeed do not count."""

    def __init__(self, redis_url: str, secret: str, per_account: int, per_address: int) -> None:
        """Nothing connects before the first attempt.

        Args:
            redis_url: where the counts are shared.
            secret: key of the hashes that stand for accounts and addresses.
            per_account: failures a minute of one account from one address.
            per_address: failures a minute of one address, whatever the account.
        """
        pool = ConnectionPool.from_url(
            redis_url,
            socket_timeout=REDIS_SECONDS,
            socket_connect_timeout=REDIS_SECONDS,
            # One more try, for a pooled connection that a restarted Redis has closed.
            retry=Retry(NoBackoff(), 1),
        )
        shared = RedisStorage("redis://", connection_pool=pool, key_prefix=PREFIX)
        self._shared = MovingWindowRateLimiter(shared)
        self._secret = secret.encode()
        self._per_account = RateLimitItemPerMinute(per_account, namespace="account")
        self._per_address = RateLimitItemPerMinute(per_address, namespace="address")
        self._redis_away_until = 0.0

    def attempt(self, email: str, address: str | None) -> Attempt:
        """The attempt of this (normalised) account from this address."""
        network = _network(address or "")
        return Attempt(
            self,
            (
                (self._per_account, self._hash(f"{email} {network}")),
                (self._per_address, self._hash(network)),
            ),
        )

    def seconds_left(self, item: RateLimitItem, key: str) -> int:
        """Seconds until one more failure is allowed; 0 when it is now."""
        window = self._ask(lambda limiter: limiter.get_window_stats(item, key))
        if window.remaining > 0:
            return 0
        # The window is a minute long, whatever the wall clock did since it began.
        return min(60, max(1, math.ceil(window.reset_time - time.time())))

    def count(self, item: RateLimitItem, key: str) -> bool:
        """Count a failure, in one step with the check; False when it was one too many."""
        return self._ask(lambda limiter: limiter.hit(item, key))

    def _ask(self, question: Callable[[MovingWindowRateLimiter], Answer]) -> Answer:
        if time.monotonic() >= self._redis_away_until:
            try:
                return question(self._shared)
            except RedisError as error:
                self._redis_away_until = time.monotonic() + RETRY_REDIS_SECONDS
                log.warning("login_limit_counts_locally", error=type(error).__name__)
        return question(self._local)

    @cached_property
    def _local(self) -> MovingWindowRateLimiter:
        # It starts a thread, which none may do before gunicorn has forked its workers.
        return MovingWindowRateLimiter(MemoryStorage())

    def _hash(self, text: str) -> str:
        return hmac.digest(self._secret, text.encode(), "sha256").hex()[:32]


@dataclass(frozen=True)
class Attempt:
    """One login that is being tried, with the limits that it falls under."""

    limit: LoginLimit
    keys: tuple[tuple[RateLimitItem, str], ...]

    def check(self) -> None:
        """Refuse when no failure is left, whatever the password.

        Raises:
            TooManyRequests: with Retry-After.
        """
        if wait := self._seconds_left():
            raise _too_many(wait)

    def failed(self) -> None:
        """Count a failure.

        Raises:
            TooManyRequests: others that ran beside this one used up the failures.
        """
        counted = [self.limit.count(item, key) for item, key in self.keys]
        if not all(counted):
            raise _too_many(max(1, self._seconds_left()))

    def _seconds_left(self) -> int:
        return max(self.limit.seconds_left(item, key) for item, key in self.keys)


def install(app: Flask, settings: Settings) -> None:
    """Give the app its limit of failed logins."""
    app.extensions[EXTENSION] = LoginLimit(
        settings.redis_url,
        settings.service_token,
        settings.login_failures_per_account,
        settings.login_failures_per_address,
    )


def current() -> LoginLimit:
    """The limit of the running app."""
    found: LoginLimit = current_app.extensions[EXTENSION]
    return found


def _network(address: str) -> str:
    # One IPv6 customer owns a whole /64, and would have a fresh address for every guess.
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    if parsed.version == 6 and parsed.ipv4_mapped is None:
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


def _too_many(seconds: int) -> TooManyRequests:
    return TooManyRequests(
        "Too many logins failed; try again later.", headers={"Retry-After": str(seconds)}
    )
