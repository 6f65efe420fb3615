"""The workers' queue as Redis holds it: how long it is, and whose turn is next.

Celery puts a task at the left end of a list and takes it from the right. Looking costs one command
and needs nothing of Celery, so the processes that only look do not load it.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

QUEUE = "orders"


def connect(url: str, seconds: float) -> Redis:
    """A client that waits at most `seconds` and repeats nothing; lazily connected."""
    return Redis.from_url(
        url,
        socket_timeout=seconds,
        socket_connect_timeout=seconds,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )


class Queue:
    """The list of tasks that no worker has taken yet."""

    def __init__(self, redis: Redis) -> None:
        self._redis = redis

    def length(self) -> int | None:
        """How many tasks wait; None when Redis does not answer."""
        with suppress(RedisError):
            length: Any = self._redis.llen(QUEUE)
            return int(length)
        return None

    def next_order(self) -> str | None:
        """The order whose task is taken next; None when none waits.

        Raises:
            RedisError: Redis does not answer.
        """
        message: Any = self._redis.lindex(QUEUE, -1)
        if message is None:
            return None
        return str(json.loads(message)["headers"]["id"])
