"""Finishes or undoes what a crash or a silence left unfinished, and forgets old keys."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from functools import partial

import structlog
from sqlalchemy import ColumnElement, or_, select, text
from sqlalchemy.orm import Session

from chassis import correlation
from chassis.breaker import LeftAlone
from orders.leases import DUE, UNATTENDED, lease, times
from orders.models import OrderRow
from orders.order import Order
from orders.ports import Ports
from orders.work import finish

BATCH = 20
# At once: behind one whose provider is silent the others would wait for longer than their leases.
ABREAST = 5
ALL_STEPS = ("validate", "reserve", "pay", "compensate")

log = structlog.get_logger()


def sweep(ports: Ports) -> bool:
    """Take over a batch of orders that nobody works on; True when there may be more."""
    limit, steps = _possible(ports)
    orders = ports.database.write(lambda session: _claim(ports, session, limit, steps))
    with ThreadPoolExecutor(ABREAST, "recovery") as pool:
        list(pool.map(partial(_recover, ports), orders))
    return len(orders) == limit


def _recover(ports: Ports, order: Order) -> None:
    with correlation.continued(order.context, "recover", "internal", order=order.id):
        try:
            finish(ports, order)
        except Exception:  # a fault of ours: it must not keep the others of its batch waiting
            log.exception("recovery_failed", order=order.id)


def _possible(ports: Ports) -> tuple[int, tuple[str, ...]]:
    """How many orders to take over, at which steps: not more than the catalog can be asked for."""
    try:
        ports.holds.breaker.check()
    except LeftAlone:
        return BATCH, ("validate", "pay")
    return BATCH if ports.holds.breaker.state == "closed" else 1, ALL_STEPS


def forget_old_keys(ports: Ports) -> bool:
    """Delete idempotency keys that are past their time."""
    oldest = ports.clock.now() - timedelta(hours=ports.settings.idempotency_hours)
    ports.database.write(
        lambda session: session.execute(
            text("DELETE FROM idempotency_keys WHERE created_at < :t AND status IS NOT NULL"),
            {"t": oldest},
        ),
        repeatable=True,
    )
    return False


def _claim(ports: Ports, session: Session, limit: int, steps: tuple[str, ...]) -> list[Order]:
    query = (
        select(OrderRow)
        .where(text(f"{UNATTENDED} AND {DUE}"), OrderRow.step.in_(steps), _for_us(ports))
        .order_by(OrderRow.retry_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    claimed = []
    for row in session.scalars(query, times(ports)):
        row.lease_until = lease(ports)
        row.version += 1
        claimed.append(Order.of(row))
    return claimed


def _for_us(ports: Ports) -> ColumnElement[bool]:
    """Asynchronous orders are the workers', unless the queue was out of reach for long."""
    patience = timedelta(seconds=1.5 * ports.settings.task_patience_seconds)
    return or_(OrderRow.queued_at.is_(None), OrderRow.queued_at < ports.clock.now() - patience)
