"""A peer as a sink of the outbox: what of it the peer gets, and what its answers mean."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.engine import Engine

from chassis.bus.port import DataLost
from chassis.clock import Clock, rfc3339
from chassis.events import Event
from chassis.ids import new_id
from chassis.replication import door, state
from chassis.replication.client import EpochIsOver, PeerAway, PeerClient, Refused

SECONDS = 5.0
# Who cannot be reached at all fails sooner than this; what took longer was too much at once. A peer
# takes a batch in one transaction, and its shoppers wait for the rows of it.
SLOW_SECONDS = 1.5
# Below the gateway's limit of 1 MiB, and few enough to be taken well within its patience.
MOST_BYTES = 600_000
MOST_EVENTS = 500
# A branch that sells makes most of these, and only the last of each product is of any use.
CONFLATED = "stock.updated"

Prepare = Callable[[Iterable[Event]], Iterable[dict[str, Any]]]

log = structlog.get_logger()


class SetBack(Exception):
    """A peer has heard of this branch what this branch does not know: it is an older copy.

    Attributes:
        epoch: of this branch, as the peer knows it.
    """

    def __init__(self, detail: str, epoch: int) -> None:
        super().__init__(detail)
        self.epoch = epoch


class PeerSink:
    """Delivers to one peer. The position is the peer's epoch: another one has lost data."""

    def __init__(
        self,
        engine: Engine,
        source: str,
        client: PeerClient,
        wanted: Callable[[Event], bool],
        prepare: Prepare,
        clock: Clock,
    ) -> None:
        """Nothing connects before the first batch.

        Args:
            engine: of the primary, whose statements are transactions of their own.
            source: of this branch's events, `/branch/service`.
            client: of the peer.
            wanted: whether an event of the outbox is a peer's business.
            prepare: the documents of events, which may tell more than the events do.
            clock: for events that only say that this branch is there.
        """
        self._engine = engine
        self._source = source
        self._service = source.rpartition("/")[2]
        self._client = client
        self._wanted = wanted
        self._prepare = prepare
        self._clock = clock
        self._start = new_id()
        self._mark: dict[str, Any] = {}
        # Events in a request; what a slow peer does not take in time it never would.
        self._most = MOST_EVENTS

    def introduce(self) -> None:
        """Note this start, after asking the peer how far it heard of this branch.

        Raises:
            SetBack: further than this branch knows itself.
            PeerAway: it has not answered.
        """
        with self._engine.connect() as connection:
            me = state.of_self(connection.execute)
            self._refuse_to_speak(me)
            # Before it answers: what is written until then was not written in an earlier start.
            state.began(connection.execute, self._client.name, self._start)
            # Without a word of this start: should the answer be lost, the question comes again.
            answer = self._client.send(_encoded(self._ping(me)), seconds=SECONDS)
            known = answer["services"][self._service]["known"]
            if state.was_set_back(connection.execute, self._client.name, known, me):
                self._refuse_another_epoch(me)
                raise self._set_back(known, me)

    def begin_anew(self) -> None:
        """Let the next introduction be another start: meanwhile another process may have begun."""
        self._start = new_id()

    def publish(self, events: Sequence[Event], after: str | None = None) -> str:
        """Return once the peer has taken all of it, or what it refuses for good is parked.

        Raises:
            DataLost: the peer is in another epoch than before: it needs all there is.
            SetBack: this branch is an older copy of itself.
            PeerAway: not taken, or not known to be.
        """
        return self.deliver(_newest([each for each in events if self._wanted(each)]), after)

    def deliver(self, events: Iterable[Event], after: str | None) -> str:
        """The same for any number of events, whatever they are."""
        with self._engine.connect() as connection:
            me = state.of_self(connection.execute)
        self._refuse_to_speak(me)
        position = after
        # Read before what is sent: never more than is written.
        self._mark = {"epoch": me.epoch, "start": self._start, "position": me.written}
        documents = (each | self._mark for each in self._prepare(events))
        for chunk in _chunks(documents, self._most):
            # It was read after `me` was: a branch that closed meanwhile has set its stock to
            # nothing, and a peer would take that for the last that was said before it closed.
            self._refuse_another_epoch(me)
            position = self._hand_over(chunk, me)
        if position is None or position == after:
            position = self._hand_over([_encoded(self._ping(me) | self._mark)], me)
        if after is not None and position != after:
            raise DataLost(None)
        self._most = min(MOST_EVENTS, self._most + 1 + self._most // 8)
        return position

    def _refuse_to_speak(self, me: state.Self) -> None:
        """While it rejoins, what this branch says under its new epoch would be what it forgot."""
        if me.rejoining:
            raise PeerAway("This branch has not heard from all of its peers.")

    def _refuse_another_epoch(self, me: state.Self) -> None:
        with self._engine.connect() as connection:
            now = state.of_self(connection.execute)
        if now.epoch != me.epoch:
            raise PeerAway(f"This branch went from epoch {me.epoch} to {now.epoch} meanwhile.")

    def _ping(self, me: state.Self) -> dict[str, Any]:
        now = rfc3339(self._clock.now())
        said = Event(new_id(), self._source, door.PING, self._source, now, me.lamport, {})
        return said.document()

    def _hand_over(self, chunk: list[bytes], me: state.Self) -> str:
        began = time.monotonic()
        try:
            answer = self._client.send(b"[" + b",".join(chunk) + b"]", seconds=SECONDS)
        except EpochIsOver as over:
            self._refuse_another_epoch(me)
            raise self._set_back(over.known, me) from over
        except PeerAway:
            self._learn(len(chunk), time.monotonic() - began)
            raise
        except Refused as refusal:
            if len(chunk) == 1:
                self._park(json.loads(chunk[0]), str(refusal))
                return self._hand_over([_encoded(self._ping(me) | self._mark)], me)
            # One of them is not to be had: each by itself, so that it does not stop the others.
            return [self._hand_over([each], me) for each in chunk][-1]
        self._learn(len(chunk), time.monotonic() - began)
        by_id = {result["id"]: result for result in answer["results"]}
        for each in chunk if any(r["outcome"] == "refused" for r in by_id.values()) else ():
            document = json.loads(each)
            result = by_id.get(document["id"], {"outcome": "applied"})
            if result["outcome"] == "refused":
                self._park(document, result.get("detail", ""))
        said = answer["services"].get(self._service)
        if said is None:  # nothing of this chunk was an event
            return self._hand_over([_encoded(self._ping(me) | self._mark)], me)
        return str(said["epoch"])

    def _learn(self, events: int, seconds: float) -> None:
        """Send a peer that was slow half as many events at a time."""
        if seconds > SLOW_SECONDS:
            self._most = max(1, events // 2)

    def _set_back(self, known: dict[str, Any], me: state.Self) -> SetBack:
        told = f"{self._client.name} has heard of {known}, this branch is at {me}"
        return SetBack(told, known["epoch"])

    def _park(self, document: dict[str, Any], reason: str) -> None:
        log.error("event_parked", peer=self._client.name, event_id=document["id"], reason=reason)
        with self._engine.connect() as connection:
            connection.execute(
                text(_PARK),
                {
                    "peer": self._client.name,
                    "id": document["id"],
                    "document": json.dumps(document, ensure_ascii=False),
                    "reason": reason,
                },
            )


def _newest(events: Sequence[Event]) -> list[Event]:
    """Without stock that is said anew later in the batch: what counts is the newest version."""
    last = {each.subject: each.id for each in events if each.type == CONFLATED}
    return [each for each in events if each.type != CONFLATED or last[each.subject] == each.id]


def _encoded(document: dict[str, Any]) -> bytes:
    return json.dumps(document, separators=(",", ":"), ensure_ascii=False).encode()


def _chunks(documents: Iterable[dict[str, Any]], most: int) -> Iterator[list[bytes]]:
    chunk: list[bytes] = []
    size = 0
    for document in documents:
        encoded = _encoded(document)
        if chunk and (size + len(encoded) > MOST_BYTES or len(chunk) == most):
            yield chunk
            chunk, size = [], 0
        chunk.append(encoded)
        size += len(encoded)
    if chunk:
        yield chunk


_PARK = """
INSERT INTO parked_events (peer, event_id, document, reason)
VALUES (:peer, :id, CAST(:document AS jsonb), :reason)
ON CONFLICT (peer, event_id) DO UPDATE SET reason = EXCLUDED.reason, at = now()
"""
