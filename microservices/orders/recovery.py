"""Finishes or undoes what a crash or a silence left unfinished, and forgets old keys."""

from __future__ import annotations

from datetime import timedelta

import structlog
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from chassis import deadline
from chassis.breaker import LeftAlone
from orders import saga
from orders.leases import due, lease, unattended
from orders.models import OrderRow, SagaLog
from orders.order import Order
from orders.ports import Ports
from orders.problems import LeaseLost

BATCH = 20

log = structlog.get_logger()


def sweep(ports: Ports) -> bool:
    """Take over a batch of orders that nobody works on; True when there may be more."""
    limit, steps = _possible(ports)
    orders = ports.database.write(lambda session: _claim(ports, session, limit, steps))
    for order, attempt in orders:
        _finish(ports, order, attempt)
    return len(orders) == limit


def _possible(ports: Ports) -> tuple[int, tuple[str, ...]]:
    """How many orders to take over, at which steps: not more than the catalog can be asked for."""
    try:
        ports.holds.breaker.check()
    except LeftAlone:
        return BATCH, ("pay",)
    return BATCH if ports.holds.breaker.state == "closed" else 1, ("reserve", "pay", "compensate")


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


def _claim(
    ports: Ports, session: Session, limit: int, steps: tuple[str, ...]
) -> list[tuple[Order, int]]:
    query = (
        select(OrderRow)
        .where(unattended(ports), due(ports), OrderRow.step.in_(steps))
        .order_by(OrderRow.retry_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
    )
    claimed = []
    for row in session.scalars(query):
        row.lease_until = lease(ports)
        row.version += 1
        claimed.append((Order.of(row), 1 + _attempts(session, row)))
    return claimed


def _attempts(session: Session, row: OrderRow) -> int:
    """How often the order's present step ended without an outcome."""
    query = select(func.count()).where(
        SagaLog.order_id == row.id, SagaLog.outcome.in_(("unknown", "failed"))
    )
    return session.scalar(query) or 0


def _finish(ports: Ports, order: Order, attempt: int) -> None:
    age = ports.clock.now() - order.created_at
    forward = age.total_seconds() <= ports.settings.recovery_forward_seconds
    try:
        with deadline.within(ports.settings.checkout_deadline_seconds):
            after = saga.run(saga.Run(ports, attempt=attempt, forward=forward), order)
    except LeaseLost:
        return
    log.info("recovered", order=order.id, step=order.step, status=after.status, attempt=attempt)
