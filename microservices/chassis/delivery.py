"""What can be seen of the outbox from outside: lines, spans and metrics of its delivery."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import structlog
from sqlalchemy import Row, text
from sqlalchemy.engine import Engine

from chassis import tracing
from chassis.events import Event
from chassis.metrics import OUTBOX_LAG, OUTBOX_PENDING

EVENTS_IN_A_LINE = 20

log = structlog.get_logger()

_LAG = """
SELECT c.sink, count(o.seq) AS pending,
    coalesce(extract(epoch FROM clock_timestamp() - min(o.time)), 0) AS seconds
FROM outbox_cursors c LEFT JOIN outbox o ON o.txid >= c.low AND o.seq > c.seq GROUP BY c.sink
"""


@contextmanager
def publishing(sink: str, events: Sequence[Event]) -> Iterator[None]:
    """Trace the publication of a batch that the block does, and log it when it is done."""
    with ExitStack() as spans:
        for event in events:
            if trace := event.context.get("traceparent"):
                name = f"publish {event.type}"
                spans.enter_context(
                    tracing.span(name, "producer", parent=trace, event_id=event.id, sink=sink)
                )
        yield
    for start in range(0, len(events), EVENTS_IN_A_LINE):
        told = [_told(event) for event in events[start : start + EVENTS_IN_A_LINE]]
        log.info("published", sink=sink, events=told)


def _told(event: Event) -> dict[str, str]:
    told = {"event_id": event.id, "type": event.type, "subject": event.subject}
    if known := event.context.get("requestid"):
        told["request_id"] = known
    return told


def waiting(engine: Engine) -> Sequence[Row[Any]]:
    """For each sink: how many events it has not had, and the age of the oldest in seconds."""
    with engine.connect() as connection:
        return connection.execute(text(_LAG)).all()


def measure(engine: Engine, service: str) -> bool:
    """One round of a loop: how many events each sink has not had, and how old the oldest is.

    Args:
        engine: of the primary, whose statements are transactions of their own.
        service: whose outbox it is.
    """
    for row in waiting(engine):
        OUTBOX_PENDING.labels(service, row.sink).set(row.pending)
        OUTBOX_LAG.labels(service, row.sink).set(float(row.seconds))
    return False
