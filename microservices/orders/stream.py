"""An order as a stream of server-sent events: what it is, then each thing that happens to it.

The ids are those of the saga's log, so whoever reconnects goes on where it was, at any instance.
A stream holds a thread of the process, so only some are kept open, and none for long; the others
are sent what there is and end, and their clients come back a moment later (`retry:`) with the id
of the last event they saw. Nobody is refused, and at least half of the threads stay free.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from chassis.clock import rfc3339
from chassis.problems import Unavailable
from chassis.shutdown import stopping
from orders.models import OrderRow, SagaLog
from orders.order import Order
from orders.ports import Ports

LOOK_SECONDS = 0.2
HEARTBEAT_SECONDS = 2.0
RETRY_MILLISECONDS = 1000
# For a proxy in front of the gateway.
HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
ENDED = ("confirmed", "preparing", "shipped", "delivered", "cancelled", "failed")

# Of each event in the stream.
EVENT = {
    "type": "object",
    "properties": {
        "event": {"enum": ["order", "step", "end"]},
        "id": {"type": "string", "pattern": "^[0-9]+$"},
        "data": {"type": "string", "description": "A JSON object; see docs/api.md."},
    },
    "required": ["event", "data"],
}
RESPONSES: dict[str | int | HTTPStatus, Any] = {
    200: {
        "description": "Events `order`, `step` and `end`; their shapes are in docs/api.md.",
        "content": {"text/event-stream": {"schema": EVENT}},
    },
    204: None,
}

log = structlog.get_logger()


@dataclass(frozen=True)
class News:
    """What an order is now, and the lines that its log has got since the last look."""

    order: Order
    entries: list[SagaLog]


def events(ports: Ports, order: Order, last_seen: str | None) -> Iterator[str] | None:
    """The stream of an order that the caller may see, from the event after `last_seen`.

    None when the order has ended and its last event was seen: answered 204, that tells an
    EventSource to stop asking.
    """
    given = last_seen is not None and last_seen.isascii() and last_seen.isdecimal()
    since = int(last_seen) if last_seen and given and len(last_seen) < 19 else 0
    if since and has_ended(order):
        news = look(ports, order.id, since)
        if news is not None and not news.entries:
            return None
    return _events(ports, order.id, since)


def has_ended(order: Order) -> bool:
    """Whether the checkout is over and nothing of it is left to undo."""
    return order.status in ENDED and order.step == "done"


def look(ports: Ports, order_id: str, since: int) -> News | None:
    """The order as it is now, and what its log has after `since`; None if it is not to be seen."""

    def read(session: Session) -> News | None:
        # The order first: when it has ended, all that led to its end is in what is read next.
        row = session.get(OrderRow, order_id)
        entries = session.scalars(
            select(SagaLog)
            .where(SagaLog.order_id == order_id, SagaLog.id > since)
            .order_by(SagaLog.id)
        ).all()
        return News(Order.of(row), list(entries)) if row else None

    return ports.database.read_latest(read)


def _events(ports: Ports, order_id: str, since: int) -> Iterator[str]:
    kept_open = ports.streams.acquire(blocking=False)
    end = time.monotonic() + (ports.settings.stream_seconds if kept_open else 0.0)
    try:
        yield f"retry: {RETRY_MILLISECONDS}\n\n"
        yield from _until(end, ports, order_id, since)
    except (Unavailable, SQLAlchemyError) as error:
        # The client comes back, and by then perhaps the database has.
        log.warning("stream_cut", order=order_id, error=repr(error)[:200])
    finally:
        if kept_open:
            ports.streams.release()


def _until(end: float, ports: Ports, order_id: str, since: int) -> Iterator[str]:
    seen, said = 0, time.monotonic()
    while (news := look(ports, order_id, since)) is not None:
        changed = news.order.version != seen
        if not seen:
            yield _event("order", news.order.document())
        for entry in news.entries:
            since = entry.id
            yield _event("step", shown(entry), entry.id)
        if changed and seen:
            yield _event("order", news.order.document())
        if has_ended(news.order):
            yield _event("end", {"id": order_id, "status": news.order.status})
            return
        seen = news.order.version
        now = time.monotonic()
        if changed or news.entries:
            said = now
        elif now - said > HEARTBEAT_SECONDS:
            # Also how a client that has gone is noticed.
            yield ": still here\n\n"
            said = now
        if now >= end or stopping.wait(LOOK_SECONDS):
            return


def shown(entry: SagaLog) -> dict[str, Any]:
    """A line of the log as the contract shows it."""
    return {
        "step": entry.step,
        "outcome": entry.outcome,
        "attempt": entry.attempt,
        "at": rfc3339(entry.at),
        "detail": entry.detail,
    }


def _event(name: str, data: dict[str, Any], number: int | None = None) -> str:
    # JSON has no line breaks of its own, so one `data:` line is enough.
    position = f"id: {number}\n" if number else ""
    document = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    return f"event: {name}\n{position}data: {document}\n\n"
