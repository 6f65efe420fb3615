"""Writes an order's steps: its row, log, events, payment and answer, in one statement."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from chassis import correlation
from chassis.ids import new_id
from chassis.metrics import ORDER_SECONDS, saga_step
from orders.order import Order
from orders.ports import Ports
from orders.problems import LeaseLost


@dataclass(frozen=True)
class Entry:
    """One line of a saga's log.

    Attributes:
        step: accept, validate, reserve, pay, confirm, refund, release, fail, cancel, or a new
            status.
        outcome: started, succeeded, refused, failed, unknown.
        attempt: counts from 1.
        detail: for people.
    """

    step: str
    outcome: str
    attempt: int = 1
    detail: str = ""


@dataclass(frozen=True)
class Answer:
    """The final answer of the request that opened the order."""

    status: int
    body: dict[str, Any]


def advance(
    ports: Ports,
    order: Order,
    changes: dict[str, Any],
    log: list[Entry],
    *,
    paid: str | None = None,
    answer: Answer | Literal["free"] | None = None,
) -> Order:
    """Move an order on, all or nothing, if nobody else has moved it.

    Args:
        order: as it was last seen; the write is fenced by its version.
        changes: new values of its columns.
        log: what happened since the last write, and what is about to.
        paid: `captured` or `refunded` when money moved.
        answer: what the idempotency key stands for from now on; `free` forgets the key.

    Raises:
        LeaseLost: somebody else moved it; nothing was written.
    """
    after = order.after(changes)
    events = _events(order, after, paid)
    row = ports.database.call(
        "SELECT advance_order(:id, :version, CAST(:changes AS jsonb), CAST(:log AS jsonb),"
        " CAST(:events AS jsonb), CAST(:paid AS jsonb), CAST(:answer AS jsonb), :now)"
        + correlation.SET,
        {
            "id": order.id,
            "version": order.version,
            "changes": dumps(changes),
            "log": dumps([entry.__dict__ for entry in log]),
            "events": dumps(events),
            "paid": dumps(_payment(after, paid)) if paid else None,
            "answer": _stored(answer),
            "now": ports.clock.now(),
            "context": correlation.dumped(),
        },
        repeatable=True,
    )
    if not row[0]:
        raise LeaseLost
    for entry in log:
        saga_step(entry.step, entry.outcome).inc()
    if after.step == "done" and after.status in ("confirmed", "failed"):
        mode = "asynchronous" if order.asynchronous else "synchronous"
        seconds = (ports.clock.now() - order.created_at).total_seconds()
        ORDER_SECONDS.labels(mode, after.status).observe(max(0.0, seconds))
    return after


def dumps(value: Any) -> str:
    """JSON with times as RFC 3339."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=_time)


def _time(value: Any) -> str:
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} is not JSON")


def _stored(answer: Answer | Literal["free"] | None) -> str | None:
    if isinstance(answer, Answer):
        return dumps({"status": answer.status, "body": dumps(answer.body)})
    return dumps(answer) if answer else None


def _payment(order: Order, state: str) -> dict[str, Any]:
    return {"amount_cents": order.total_cents, "currency": order.currency, "state": state}


def _events(before: Order, after: Order, paid: str | None) -> list[dict[str, Any]]:
    events = []
    if paid:
        settled = {"order_id": after.id, "version": after.version, **_payment(after, paid)}
        events.append({"id": new_id(), "type": "payment.settled", "data": settled})
    if before.step == "validate" and after.step == "reserve":
        events.append({"id": new_id(), "type": "order.created", "data": after.event_data()})
    if after.status != before.status:
        data = after.event_data()
        events.append({"id": new_id(), "type": "order.status_changed", "data": data})
    return events
