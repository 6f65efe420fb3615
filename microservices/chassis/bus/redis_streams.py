"""The event bus on Redis Streams: one stream per publishing service, one group per consumer."""

from __future__ import annotations

import functools
import itertools
import json
import re
import time
from collections.abc import Sequence
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ResponseError
from redis.retry import Retry

from chassis.bus.attempts import Attempts
from chassis.bus.port import DataLost, Handler, Letter, away
from chassis.events import Event

ANSWER_SECONDS = 5.0
READ_COUNT = 100
BLOCK_MILLISECONDS = 1000
CLAIM_IDLE_MILLISECONDS = 30_000
# How often it is looked for what another member left.
CLAIM_SECONDS = 3.0
# After a few events others are likely on their way: together they cost less than one by one.
GATHER_SECONDS = 0.05


@functools.cache
def connect(url: str) -> Redis:
    """The process's client of a bus, with bounded waits; nothing connects before its first command.

    It repeats nothing by itself: the loops that use it do, with a pause.
    """
    return Redis.from_url(
        url,
        socket_timeout=ANSWER_SECONDS,
        socket_connect_timeout=1.0,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )


def stream_of(service: str) -> str:
    """The stream that a service publishes to."""
    return f"events:{service}"


def dead_stream_of(group: str) -> str:
    """The stream of what a group has set aside."""
    return f"dead:{group}"


# KEYS: the stream. ARGV: the position that it must have reached, or "", then the events.
# Answers {"kept", its position now} or {"lost", its last event or ""}. A stream that was lost
# begins at 0-0 again, and one whose end was lost is below where it had been.
PUBLISH = """
local last, tail = '0-0', ''
if redis.call('EXISTS', KEYS[1]) == 1 then
  local info = redis.call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last = info[i + 1] end
    if info[i] == 'last-entry' and info[i + 1] then tail = info[i + 1][2][2] end
  end
end
if ARGV[1] ~= '' then
  local ms, n = last:match('^(%d+)-(%d+)$')
  local wanted_ms, wanted_n = ARGV[1]:match('^(%d+)-(%d+)$')
  ms, n, wanted_ms, wanted_n = tonumber(ms), tonumber(n), tonumber(wanted_ms), tonumber(wanted_n)
  if ms < wanted_ms or (ms == wanted_ms and n < wanted_n) then return {'lost', tail} end
end
for i = 2, #ARGV do last = redis.call('XADD', KEYS[1], '*', 'event', ARGV[i]) end
return {'kept', last}
"""


class Publisher:
    """The sink of a service's outbox relay."""

    def __init__(self, redis: Redis, service: str) -> None:
        self._redis = redis
        self._stream = stream_of(service)
        self._publish = redis.register_script(PUBLISH)

    def publish(self, events: Sequence[Event], after: str | None = None) -> str:
        """See `port.Publisher`; a batch is appended whole, or not at all when data was lost."""
        if after is not None and not re.fullmatch(r"\d+-\d+", after):
            raise DataLost(None)  # the bus was another one then
        documents = [json.dumps(event.document()) for event in events]
        answer: Any = self._publish([self._stream], [after or "", *documents])
        if answer[0] == "lost":
            raise DataLost(json.loads(answer[1])["id"] if answer[1] else None)
        return str(answer[1])

    def trim(self) -> None:
        """See `port.Publisher`."""
        groups: list[dict[str, Any]] = self._redis.xinfo_groups(self._stream)
        floors = []
        for group in groups:
            pending: dict[str, Any] = self._redis.xpending(self._stream, group["name"])
            floors.append(pending["min"] if pending["pending"] else group["last-delivered-id"])
        if floors:
            self._redis.xtrim(self._stream, minid=min(floors, key=_position), approximate=False)


def _position(entry_id: str) -> tuple[int, int]:
    milliseconds, _, sequence = entry_id.partition("-")
    return int(milliseconds), int(sequence or 0)


class Consumer:
    """One member of a consumer group on one service's stream.

    What another member left for 30 s is taken over. Dead letters are in the stream `dead:<group>`.

    New entries come by the hundred. What may have been begun before, by this process or one that
    died of it, is fetched one by one: so Redis' count of deliveries is a count of tries.
    """

    def __init__(
        self, redis: Redis, service: str, group: str, member: str, handle: Handler
    ) -> None:
        self._redis = redis
        self._service = service
        self._stream = stream_of(service)
        self._group = group
        self._member = member
        self._attempts = Attempts(group, handle, self._set_aside)
        self._ready = False
        # Whether entries may have been given to this member that it has not acknowledged.
        self._unfinished = True
        self._claimed = float("-inf")

    def cycle(self) -> bool:
        """See `port.Consumer`."""
        if not self._ready:
            self._create_group()
        unfinished = self._unfinished or self._takes_over()
        # So it is until a round has ended well.
        self._unfinished = True
        if unfinished and self._take_again():
            return True
        entries = self._read(">", READ_COUNT, BLOCK_MILLISECONDS)
        self._take(entries, 0)
        self._unfinished = False
        if entries and len(entries) < READ_COUNT:
            time.sleep(GATHER_SECONDS)
        return bool(entries)

    def close(self) -> None:
        """Nothing to give back: what it had not finished is taken over once it was left long."""

    def _create_group(self) -> None:
        try:
            self._redis.xgroup_create(self._stream, self._group, id="0", mkstream=True)
        except ResponseError as error:
            if "BUSYGROUP" not in str(error):
                raise
        self._ready = True

    def _read(self, position: str, count: int, block: int | None) -> list[Any]:
        try:
            answer: Any = self._redis.xreadgroup(
                self._group, self._member, {self._stream: position}, count=count, block=block
            )
        except ResponseError as error:
            if "NOGROUP" in str(error):  # the stream was lost with its Redis; begin anew
                self._ready = False
            raise
        if isinstance(answer, dict):
            answer = list(answer.items())
        return list(answer[0][1]) if answer else []

    def _takes_over(self) -> bool:
        """Whether entries are this member's now that another one left; not a delivery yet."""
        if time.monotonic() < self._claimed + CLAIM_SECONDS:
            return False
        idle = CLAIM_IDLE_MILLISECONDS
        claimed: Any = self._redis.xautoclaim(
            self._stream, self._group, self._member, idle, count=READ_COUNT, justid=True
        )
        self._claimed = time.monotonic()
        return bool(claimed)

    def _take_again(self) -> bool:
        """Take what this member has not acknowledged, the oldest first; False when all is.

        Together as far as nothing of it was begun, else one entry.
        """
        pending: list[Any] = self._redis.xpending_range(
            self._stream, self._group, "-", "+", READ_COUNT, self._member
        )
        if not pending:
            return False
        tried = [int(each["times_delivered"]) for each in pending]
        untried = len(list(itertools.takewhile(lambda count: count == 0, tried)))
        self._take(self._read("0", max(1, untried), None), tried[0])
        return True

    def _take(self, entries: list[Any], tried: int) -> None:
        done: list[str] = []
        try:
            for entry_id, fields in entries:
                self._attempts.take(entry_id, fields.get("event", ""), tried)
                done.append(entry_id)
        except Exception as error:
            # One was begun, and that counts unless it was a store that failed.
            begun = len(done) + (0 if isinstance(error, away()) else 1)
            self._count(tried, [entry_id for entry_id, _ in entries[begun:]])
            raise
        finally:
            # Together: what a crash leaves unacknowledged comes again, and has no second effect.
            if done:
                self._redis.xack(self._stream, self._group, *done)

    def _count(self, tried: int, entry_ids: list[Any]) -> None:
        """Have entries of this member count as delivered so often."""
        if entry_ids:
            self._redis.xclaim(
                self._stream, self._group, self._member, 0, entry_ids, retrycount=tried, justid=True
            )

    def _set_aside(self, entry_id: str, document: str, error: str) -> None:
        letter: Any = {"service": self._service, "event": document, "error": error}
        self._redis.xadd(dead_stream_of(self._group), letter)


class DeadLetters:
    """See `port.DeadLetters`: the entries of the stream `dead:<group>`."""

    def __init__(self, redis: Redis, group: str) -> None:
        self._redis = redis
        self._stream = dead_stream_of(group)

    def letters(self) -> list[Letter]:
        """See `port.DeadLetters`."""
        entries: Any = self._redis.xrange(self._stream)
        return [
            Letter(entry, fields["service"], fields["event"], fields["error"])
            for entry, fields in entries
        ]

    def remove(self, letter: Letter) -> None:
        """See `port.DeadLetters`."""
        self._redis.xdel(self._stream, letter.id)
