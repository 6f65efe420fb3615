"""Whether the stores that a process works with answer, each asked by itself and side by side.

It is for people who watch a failover, not for deciding anything: the pools find out for themselves.
"""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from chassis import deadline
from chassis.bus import KAFKA

ANSWER_SECONDS = 0.7


@dataclass(frozen=True)
class Check:
    """A store and how to ask it: `ask` answers its role, if it has one, or raises."""

    kind: str
    address: str
    ask: Callable[[], str | None]


def postgres_checks(dsn: str) -> list[Check]:
    """Every host of a cluster, which is a primary or a standby."""
    # The cart, which has none, does without its client.
    from chassis.postgres import role_of, single_host_dsns

    return [
        Check("postgresql", f"{host['host']}:{host['port']}", functools.partial(role_of, host))
        for host in single_host_dsns(dsn)
    ]


def redis_check(kind: str, url: str) -> Check:
    """A Redis server, which has no role."""
    parts = urlsplit(url)
    return Check(kind, f"{parts.hostname}:{parts.port or 6379}", lambda: _ping(url))


def bus_checks(url: str) -> list[Check]:
    """The event bus; of Kafka the processes that use it tell by their backlog."""
    return [] if url.startswith(KAFKA) else [redis_check("bus", url)]


def ask(checks: Sequence[Check]) -> list[dict[str, Any]]:
    """`{kind, address, state: "up" | "away", role, milliseconds}` of each, in their order."""
    if not checks:
        return []
    with ThreadPoolExecutor(len(checks)) as pool:
        return list(pool.map(_asked, checks))


def _asked(check: Check) -> dict[str, Any]:
    began = time.monotonic()
    state, role = "up", None
    try:
        with deadline.within(ANSWER_SECONDS):
            role = check.ask()
    except Exception:  # whatever it is, the store did not answer
        state = "away"
    taken = round((time.monotonic() - began) * 1000, 1)
    shown = {"kind": check.kind, "address": check.address, "state": state}
    return shown | {"role": role, "milliseconds": taken}


def _ping(url: str) -> None:
    options: dict[str, Any] = {
        "socket_timeout": ANSWER_SECONDS,
        "socket_connect_timeout": ANSWER_SECONDS,
        "retry": Retry(NoBackoff(), 0),
    }
    with Redis.from_url(url, **options) as redis:
        redis.ping()
