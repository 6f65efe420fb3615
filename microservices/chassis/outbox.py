"""The transactional outbox: events are written with the change they tell of, then relayed.

Sequence numbers become visible out of commit order, so a cursor that remembers the last one seen
skips what commits late. The relay therefore delivers whole *windows* of transactions: everything
whose transaction id lies in [low, high), where `high` is the oldest transaction still running.
Nothing can join such a window any more. Inside it rows go by `seq`, which is taken under the
row lock of what they are about, so the events of one subject keep their order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.engine import Connection, Engine

from chassis.clock import Clock, rfc3339
from chassis.events import Event
from chassis.ids import new_id

BATCH = 500
PRUNE_BATCH = 5000
# Any number will do as long as it is only used here; one relay per database holds it.
RELAY_LOCK = 0x0FE1_2A01

Sink = Callable[[Sequence[Event]], object]

log = structlog.get_logger()

SCHEMA = """
CREATE SEQUENCE lamport;
CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    txid xid8 NOT NULL DEFAULT pg_current_xact_id(),
    id text NOT NULL UNIQUE,
    type text NOT NULL,
    subject text NOT NULL,
    time timestamptz NOT NULL,
    lamport bigint NOT NULL DEFAULT nextval('lamport'),
    data jsonb NOT NULL
);
CREATE INDEX outbox_window ON outbox (txid, seq);
CREATE TABLE outbox_cursors (
    sink text PRIMARY KEY,
    low xid8 NOT NULL DEFAULT '0',
    high xid8 NOT NULL DEFAULT '0',
    seq bigint NOT NULL DEFAULT 0
);
"""


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
            "INSERT INTO outbox (id, type, subject, time, data)"
            " VALUES (:id, :type, :subject, :time, CAST(:data AS jsonb))"
        ),
        [
            {
                "id": new_id(),
                "type": event.type,
                "subject": event.subject,
                "time": clock.now(),
                "data": json.dumps(event.data, separators=(",", ":"), ensure_ascii=False),
            }
            for event in events
        ],
    )


class Relay:
    """Delivers the outbox of one database to its sinks, each with its own cursor."""

    def __init__(self, engine: Engine, source: str, sinks: dict[str, Sink]) -> None:
        """Nothing connects before the first cycle.

        Args:
            engine: of the primary, whose statements are transactions of their own.
            source: the events' `source`.
            sinks: name → what takes a batch; it returns once the batch is safe there, and may
                get a batch again after a crash.
        """
        self._engine = engine
        self._source = source
        self._sinks = sinks
        self._connection: Connection | None = None

    def cycle(self) -> bool:
        """Deliver one batch to every sink; True when there may be more.

        Only the relay that holds the advisory lock delivers; others wait for its end.
        """
        try:
            connection = self._locked_connection()
            if connection is None:
                return False
            more = [self._deliver(connection, name, sink) for name, sink in self._sinks.items()]
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
            if not connection.scalar(text("SELECT pg_try_advisory_lock(:k)"), {"k": RELAY_LOCK}):
                connection.close()
                return None
            self._connection = connection
        return self._connection

    def _forget_connection(self) -> None:
        if self._connection is not None:
            # Closed for real, not returned to the pool: the advisory lock ends with it.
            self._connection.invalidate()
            self._connection.close()
            self._connection = None

    def _deliver(self, connection: Connection, name: str, sink: Sink) -> bool:
        cursor = connection.execute(text(_WINDOW), {"sink": name}).one_or_none()
        if cursor is None:
            connection.execute(text(_NEW_CURSOR), {"sink": name})
            return True
        window = {"low": cursor.low, "high": cursor.high, "seq": cursor.seq}
        rows = connection.execute(text(_READ), {**window, "limit": BATCH}).all()
        if rows:
            sink([self._event(row) for row in rows])
            half = len(rows) == BATCH
            connection.execute(
                text(_ADVANCE if half else _CLOSE),
                {"sink": name, "high": cursor.high, "seq": rows[-1].seq},
            )
        elif cursor.seq > 0:
            connection.execute(text(_CLOSE), {"sink": name, "high": cursor.high})
        return bool(rows)

    def _event(self, row: Any) -> Event:
        return Event(
            id=row.id,
            source=self._source,
            type=row.type,
            subject=row.subject,
            time=rfc3339(row.time),
            lamport=row.lamport,
            data=row.data,
        )


# A window that was left half delivered is finished before a wider one is opened.
_WINDOW = """
SELECT CAST(low AS text), seq, CAST(
    CASE WHEN seq > 0 THEN high ELSE pg_snapshot_xmin(pg_current_snapshot()) END AS text) AS high
FROM outbox_cursors WHERE sink = :sink
"""
_NEW_CURSOR = "INSERT INTO outbox_cursors (sink) VALUES (:sink) ON CONFLICT DO NOTHING"
_READ = """
SELECT seq, id, type, subject, time, lamport, data FROM outbox
WHERE txid >= CAST(:low AS xid8) AND txid < CAST(:high AS xid8) AND seq > :seq
ORDER BY seq LIMIT :limit
"""
_ADVANCE = """
UPDATE outbox_cursors SET high = CAST(:high AS xid8), seq = :seq WHERE sink = :sink
"""
_PRUNE = """
DELETE FROM outbox WHERE seq IN (
    SELECT seq FROM outbox
    WHERE txid < (SELECT min(low) FROM outbox_cursors) AND time < now() - interval '24 hours'
    ORDER BY seq LIMIT :limit)
"""
_CLOSE = "UPDATE outbox_cursors SET low = CAST(:high AS xid8), seq = 0 WHERE sink = :sink"


def backlog(engine: Engine) -> dict[str, int]:
    """Events that each sink has not yet had, for /status."""
    with engine.connect() as connection:
        rows = connection.execute(
            text(
                "SELECT c.sink, count(o.seq) FILTER (WHERE o.seq > c.seq) AS pending"
                " FROM outbox_cursors c LEFT JOIN outbox o ON o.txid >= c.low GROUP BY c.sink"
            )
        ).all()
    return {row.sink: row.pending for row in rows}
