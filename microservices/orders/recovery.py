"""Finishes or undoes what a crash or a silence left unfinished, and forgets old keys."""

from __future__ import annotations

import time
from datetime import timedelta

import structlog
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from orders import saga
from orders.checkout import lease
from orders.models import OrderRow, SagaLog
from orders.order import Order
from orders.ports import Ports
from orders.problems import LeaseLost

BATCH = 20

log = structlog.get_logger()


def sweep(ports: Ports) -> bool:
    """Take over a batch of orders that nobody works on; True when there may be more."""
    orders = ports.database.write(lambda session: _claim(ports, session))
    for order, attempt in orders:
        _finish(ports, order, attempt)
    return len(orders) == BATCH


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


def _claim(ports: Ports, session: Session) -> list[tuple[Order, int]]:
    now = ports.clock.now()
    query = (
        select(OrderRow)
        .where(OrderRow.step != "done", OrderRow.lease_until < now, OrderRow.retry_at <= now)
        .order_by(OrderRow.retry_at)
        .limit(BATCH)
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
    deadline = time.monotonic() + ports.settings.checkout_deadline_seconds
    try:
        after = saga.run(saga.Run(ports, deadline, attempt=attempt, forward=forward), order)
    except LeaseLost:
        return
    log.info("recovered", order=order.id, step=order.step, status=after.status, attempt=attempt)
