"""The transactional outbox: events are written with the change they tell of, then relayed.

Sequence numbers become visible out of commit order, so a cursor that remembers the last one seen
skips what commits late. The relay therefore delivers whole *windows* of transactions: everything
whose transaction id lies in [low, high), where `high` is the oldest transaction still running.
Nothing can join such a window any more. Inside it rows go by `seq`, which is taken under the
row lock of what they are about, so the events of one subject keep their order; `_READ` says what
is needed for that across windows.

A sink that lost what it had taken (a Redis made anew, or one that crashed within a second of a
write) is given it again, as far back as the outbox is kept.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import structlog
from sqlalchemy import text
from sqlalchemy.engine import Connection, Engine

from chassis import bell, correlation, delivery
from chassis.bus.port import DataLost
from chassis.clock import Clock, rfc3339
from chassis.events import Event
from chassis.ids import new_id

BATCH = 500
# Batches of a window, about: each of its rows is read once for each batch before its own.
WINDOW_BATCHES = 4
PRUNE_BATCH = 5000
CHECK_SECONDS = 5.0
GATHER_SECONDS = 0.05
# Any number will do as long as it is only used here; one relay per database holds it.
RELAY_LOCK = 0x0FE1_2A01

log = structlog.get_logger()


@dataclass(frozen=True)
class NewEvent:
    """An event before the outbox gives it its place."""

    type: str
    subject: str
    data: dict[str, Any]


def append(execute: Callable[..., Any], events: Sequence[NewEvent], clock: Clock) -> None:
    """Write events in the caller's transaction.

    Args:
        execute: `Session.execute` or `Connection.execute` of that transaction.
        events: in the order in which they happened.
        clock: for the events' `time`.
    """
    execute(
        text(
            "INSERT INTO outbox (id, type, subject, time, data, context) VALUES"
            " (:id, :type, :subject, :time, CAST(:data AS jsonb), CAST(:context AS jsonb))"
        ),
        [
            {
                "id": new_id(),
                "type": event.type,
                "subject": event.subject,
                "time": clock.now(),
                "data": json.dumps(event.data, separators=(",", ":"), ensure_ascii=False),
                "context": correlation.dumped() or None,
            }
            for event in events
        ],
    )


class Sink(Protocol):
    """What the outbox is delivered to: the event bus (see `bus.port.Publisher`), or another."""

    def publish(self, events: Sequence[Event], after: str | None = None) -> str:
        """Take a batch, and return once it is safe; a batch may come again after a crash.

        Raises:
            DataLost: what was taken up to `after` is not all there any more.
        """


class Relay:
    """Delivers the outbox of one database to its sinks, each with its own cursor."""

    def __init__(self, engine: Engine, source: str, sinks: Mapping[str, Sink]) -> None:
        """Nothing connects before the first cycle.

        Args:
            engine: of the primary, whose statements are transactions of their own.
            source: the events' `source`.
            sinks: name → what takes the events.
        """
        self._engine = engine
        self._source = source
        self._sinks = sinks
        self._connection: Connection | None = None
        self._bell = bell.Bell()
        self._lock = RELAY_LOCK
        self._batch = BATCH
        self._checked: dict[str, float] = {}

    def duty(self) -> bool:
        """One round of a loop: deliver a batch, or wait until there may be something to deliver."""
        if self.cycle():
            # Others are likely on their way: together they cost less than one by one.
            time.sleep(GATHER_SECONDS)
            return True
        try:
            self._bell.wait(self._connection)
        except Exception:
            self._forget_connection()
            raise
        return False

    def cycle(self) -> bool:
        """Deliver one batch to every sink; True when there may be more.

        Only the relay that holds the advisory lock delivers; others wait for its end. One that
        cannot deliver lets go of it: another may be able to.
        """
        try:
            connection = self._locked_connection()
            if connection is None:
                return False
            more = [self._deliver(connection, name, sink) for name, sink in self._sinks.items()]
            if any(more):
                self._bell.rang(connection)
            return any(more)
        except Exception:
            self._forget_connection()
            raise

    def prune(self) -> bool:
        """Delete a batch of what every sink has had for a while; True when there may be more."""
        with self._engine.connect() as connection:
            deleted = connection.execute(text(_PRUNE), {"limit": PRUNE_BATCH}).rowcount
        return deleted == PRUNE_BATCH

    def _locked_connection(self) -> Connection | None:
        if self._connection is None:
            connection = self._engine.connect()
            if not connection.scalar(text("SELECT pg_try_advisory_lock(:k)"), {"k": self._lock}):
                connection.close()
                return None
            self._connection = connection
            self._checked = {}
            # A cursor that is lost in a failover delivers twice what came after it, no more.
            connection.execute(text("SET synchronous_commit TO off"))
            # No statistics tell how many rows a window has: planned for one, all is read for each.
            connection.execute(text("SET enable_nestloop TO off"))
            self._bell.install(connection)
        return self._connection

    def _forget_connection(self) -> None:
        if self._connection is not None:
            # Closed for real, not returned to the pool: the advisory lock ends with it.
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _deliver(self, connection: Connection, name: str, sink: Sink) -> bool:
        window = {"sink": name, "most": WINDOW_BATCHES * self._batch}
        cursor = connection.execute(text(_WINDOW), window).one_or_none()
        if cursor is None:
            self._begin(connection, name, sink)
            return True
        inside = {"low": cursor.low, "high": cursor.high, "seq": cursor.seq}
        rows = connection.execute(text(_READ), {**inside, "limit": self._batch}).all()
        self._bell.read_up_to(int(cursor.high))
        if not rows and cursor.seq == 0 and not self._check_is_due(name):
            return False
        events = [self._event(row) for row in rows]
        try:
            with delivery.publishing(name, events):
                position = sink.publish(events, cursor.position)
        except DataLost as loss:
            self._rewind(connection, name, loss)
            return True
        self._checked[name] = time.monotonic()
        moved = {"sink": name, "high": cursor.high, "position": position}
        if len(rows) == self._batch:
            connection.execute(text(_ADVANCE), moved | {"seq": rows[-1].seq})
        elif rows or cursor.seq > 0 or position != cursor.position:
            connection.execute(text(_CLOSE), moved)
        # Behind a window that was left half delivered there may be another one.
        return bool(rows) or cursor.seq > 0

    def _begin(self, connection: Connection, name: str, sink: Sink) -> None:
        """Give a sink that is new its cursor."""
        connection.execute(text(_NEW_CURSOR), {"sink": name})

    def _check_is_due(self, name: str) -> bool:
        """Whether a sink with nothing to get should say if it still has what it got."""
        return time.monotonic() - self._checked.get(name, float("-inf")) >= CHECK_SECONDS

    def _rewind(self, connection: Connection, name: str, loss: DataLost) -> None:
        connection.execute(text(_REWIND), {"sink": name, "kept": loss.kept})
        log.warning("outbox_rewound", sink=name, kept=loss.kept)

    def _event(self, row: Any) -> Event:
        return Event(
            id=row.id,
            source=self._source,
            type=row.type,
            subject=row.subject,
            time=rfc3339(row.time),
            lamport=row.lamport,
            data=row.data,
            context=row.context or {},
        )


# One that was left half delivered is finished before another is opened, as short as `most` says.
_WINDOW = """
SELECT CAST(low AS text), seq, position, CAST(
    CASE WHEN seq > 0 THEN high ELSE least(pg_snapshot_xmin(pg_current_snapshot()), (
        SELECT CAST(CAST(CAST(CAST(txid AS text) AS bigint) + 1 AS text) AS xid8) FROM outbox
        WHERE txid >= low ORDER BY txid, seq OFFSET :most LIMIT 1)) END AS text) AS high
FROM outbox_cursors WHERE sink = :sink
"""
_NEW_CURSOR = "INSERT INTO outbox_cursors (sink) VALUES (:sink) ON CONFLICT DO NOTHING"
_COLUMNS = "o.seq, o.id, o.type, o.subject, o.time, o.lamport, o.data, o.context"
_INSIDE = "txid >= CAST(:low AS xid8) AND txid < CAST(:high AS xid8) AND seq > :seq"
# With what a subject had before, though it be of a transaction above the window: one that began
# early may have waited for the row lock of one that began late. That comes again in its own window.
_READ = f"""
WITH latest AS MATERIALIZED (
    SELECT subject, max(seq) AS seq FROM outbox WHERE {_INSIDE} GROUP BY subject)
SELECT {_COLUMNS} FROM outbox o WHERE {_INSIDE}
UNION ALL
SELECT {_COLUMNS} FROM outbox o JOIN latest l ON l.subject = o.subject AND l.seq > o.seq
WHERE o.txid >= CAST(:high AS xid8) AND o.seq > :seq AND o.seq < (SELECT max(seq) FROM latest)
ORDER BY seq LIMIT :limit
"""
_ADVANCE = """
UPDATE outbox_cursors SET high = CAST(:high AS xid8), seq = :seq, position = :position
WHERE sink = :sink
"""
_PRUNE = """
DELETE FROM outbox WHERE seq IN (
    SELECT seq FROM outbox
    WHERE txid < (SELECT min(low) FROM outbox_cursors) AND time < now() - interval '24 hours'
    ORDER BY seq LIMIT :limit)
"""
_CLOSE = """
UPDATE outbox_cursors SET low = CAST(:high AS xid8), seq = 0, position = :position
WHERE sink = :sink
"""
# Back to the event that the sink still has, or to all that is kept. What was delivered after it
# either followed it by `seq`, or is of a later window and so has a higher transaction id.
_REWIND = """
UPDATE outbox_cursors SET seq = 0, position = NULL, low = least(low, coalesce((
    SELECT min(o.txid) FROM outbox o
    WHERE o.seq >= (SELECT k.seq FROM outbox k WHERE k.id = :kept)), '0'))
WHERE sink = :sink
"""


def backlog(engine: Engine) -> dict[str, int]:
    """Events that each sink has not yet had, for /status."""
    return {row.sink: row.pending for row in delivery.waiting(engine)}
