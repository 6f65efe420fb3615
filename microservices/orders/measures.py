"""What is measured of orders once in a while, for the metrics of the background process."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from chassis import delivery
from chassis.metrics import TASKS_QUEUED, UNFINISHED_SECONDS
from orders.models import OrderRow
from orders.ports import Ports


def measure(ports: Ports) -> bool:
    """One round of a loop: the outbox, the oldest unfinished order, the workers' queue."""
    delivery.measure(ports.database.primary, "orders")
    oldest = ports.database.read_primary(_oldest_unfinished)
    age = (ports.clock.now() - oldest).total_seconds() if oldest else 0.0
    UNFINISHED_SECONDS.set(max(0.0, age))
    length = ports.queue.length()
    if length is not None:
        TASKS_QUEUED.set(length)
    return False


def _oldest_unfinished(session: Session) -> datetime | None:
    return session.scalar(select(func.min(OrderRow.created_at)).where(OrderRow.step != "done"))
