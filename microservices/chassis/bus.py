"""The event bus on Redis Streams: one stream per publishing service, one group per consumer."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

import structlog
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError
from redis.retry import Retry
from sqlalchemy.exc import InterfaceError, OperationalError

from chassis.events import Event
from chassis.problems import Unavailable

Handler = Callable[[Event], None]

READ_COUNT = 100
BLOCK_MILLISECONDS = 1000
CLAIM_IDLE_MILLISECONDS = 30_000
MOST_ATTEMPTS = 10
# What a handler raises when a store or a service that it needs cannot be asked.
AWAY = (Unavailable, RedisError, OperationalError, InterfaceError)

log = structlog.get_logger()


def connect(url: str) -> Redis:
    """A client with bounded waits. Nothing connects before its first command.

    It repeats nothing by itself: the loops that use it do, with a pause.
    """
    return Redis.from_url(
        url,
        socket_timeout=5.0,
        socket_connect_timeout=1.0,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )


def stream_of(service: str) -> str:
    """The stream that a service publishes to."""
    return f"events:{service}"


class Publisher:
    """The sink of a service's outbox relay."""

    def __init__(self, redis: Redis, service: str) -> None:
        self._redis = redis
        self._stream = stream_of(service)

    def publish(self, events: Sequence[Event]) -> None:
        """Append a batch in order; returns once Redis has taken all of it."""
        pipeline = self._redis.pipeline(transaction=False)
        for event in events:
            pipeline.xadd(self._stream, {"event": json.dumps(event.document())})
        pipeline.execute()

    def trim(self) -> None:
        """Forget what every consumer group has acknowledged, and nothing above it."""
        groups: list[dict[str, Any]] = self._redis.xinfo_groups(self._stream)
        floors = []
        for group in groups:
            pending: dict[str, Any] = self._redis.xpending(self._stream, group["name"])
            floors.append(pending["min"] if pending["pending"] else group["last-delivered-id"])
        if floors:
            self._redis.xtrim(self._stream, minid=min(floors, key=_position))


def _position(entry_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)


class Consumer:
    """One member of a consumer group on one service's stream.

    Events are handled in order, and acknowledged after their effect, so an event may come again
    after a crash: handlers are idempotent. One that fails `MOST_ATTEMPTS` times is set aside in
    the stream `dead:<group>` with the reason.
    """

    def __init__(
        self, redis: Redis, service: str, group: str, member: str, handle: Handler
    ) -> None:
        self._redis = redis
        self._stream = stream_of(service)
        self._group = group
        self._member = member
        self._handle = handle
        self._attempts: dict[str, int] = {}
        self._ready = False

    def cycle(self) -> bool:
        """Handle what is there, waiting up to a second for it; True when something was."""
        if not self._ready:
            self._create_group()
        entries = self._own_unfinished() or self._abandoned() or self._new()
        for entry_id, fields in entries:
            self._take(entry_id, fields)
        return bool(entries)

    def _create_group(self) -> None:
        try:
            self._redis.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        self._ready = True

    def _read(self, position: str, block: int | None) -> list[Any]:
        try:
            answer: Any = self._redis.xreadgroup(
                self._group, self._member, {self._stream: position}, count=READ_COUNT, block=block
            )
        except ResponseError as error:
            if "NOGROUP" in str(error):  # the stream was lost with its Redis; begin anew
                self._ready = False
            raise
        if isinstance(answer, dict):
            answer = list(answer.items())
        return list(answer[0][1]) if answer else []

    def _own_unfinished(self) -> list[Any]:
        return self._read("0", None)

    def _new(self) -> list[Any]:
        return self._read(">", BLOCK_MILLISECONDS)

    def _abandoned(self) -> list[Any]:
        answer: Any = self._redis.xautoclaim(
            self._stream, self._group, self._member, CLAIM_IDLE_MILLISECONDS, count=READ_COUNT
        )
        return list(answer[1])

    def _take(self, entry_id: str, fields: dict[str, str]) -> None:
        try:
            self._handle(Event.parse(json.loads(fields["event"])))
        except AWAY:
            raise  # not the event's fault: it stays ours, and is tried again until they are back
        except Exception as error:
            attempts = self._attempts[entry_id] = self._attempts.get(entry_id, 0) + 1
            if attempts < MOST_ATTEMPTS:
                raise
            log.error("event_set_aside", entry=entry_id, error=repr(error)[:300])
            letter: Any = {**fields, "error": repr(error)[:1000]}
            self._redis.xadd(f"dead:{self._group}", letter)
        self._attempts.pop(entry_id, None)
        self._redis.xack(self._stream, self._group, entry_id)
