"""Who works on an unfinished order: a lease that lapses, taken over by whoever comes next.

Every write of a saga is fenced by the order's version, so a lease that is taken over too early
costs a wasted step and nothing else. That is why a time that lies further ahead than any lease is
long is not believed: it was written before the clock was set back.
"""

from __future__ import annotations

import math
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from chassis import deadline
from orders.models import OrderRow
from orders.order import Order
from orders.ports import Ports

# A worker that died holds its order no longer than this after its deadline.
LEASE_MARGIN = timedelta(seconds=2)
# The longest pause before an unfinished order is tried again.
LONGEST_PAUSE = timedelta(seconds=15)
# The clocks of instances may differ by this much.
SKEW = timedelta(seconds=60)


def lease(ports: Ports) -> datetime:
    """Until when a worker that starts now may work on an order: a little longer than it has."""
    left = min(deadline.remaining(), ports.settings.checkout_deadline_seconds)
    return ports.clock.now() + timedelta(seconds=left) + LEASE_MARGIN


def pause(ports: Ports, attempt: int) -> datetime:
    """When an order that could not go on now is tried again; each attempt waits twice as long."""
    seconds = ports.settings.recovery_seconds * 2 ** min(attempt, 6)
    return ports.clock.now() + min(LONGEST_PAUSE, timedelta(seconds=seconds))


# Of unfinished orders that nobody is at work on, and of those that may be tried again. Their
# parameters are `times`.
UNATTENDED = "step <> 'done' AND (lease_until < :now OR lease_until > :believed)"
DUE = "(retry_at <= :now OR retry_at > :far)"
# An order that has this very lease was taken over by this very call, whose answer was lost.
_TAKE_OVER = f"""
WITH taken AS (
    UPDATE orders SET lease_until = :lease, version = version + 1
    WHERE id = :id AND ({UNATTENDED} OR lease_until = :lease)
        AND (step <> 'pay' OR {DUE} OR NOT :mind_pause)
    RETURNING *)
SELECT taken.* FROM (SELECT) AS one LEFT JOIN taken ON true
"""


def times(ports: Ports) -> dict[str, datetime]:
    """What `UNATTENDED` and `DUE` are about now."""
    now = ports.clock.now()
    return {
        "now": now,
        "believed": now + _length(ports) + SKEW,
        "far": now + LONGEST_PAUSE + SKEW,
    }


def take_over(ports: Ports, order_id: str, *, mind_pause: bool) -> Order | None:
    """Claim an unfinished order that nobody is at work on; None if somebody is.

    Args:
        mind_pause: leave an order alone whose payment shall not be asked about again yet.
    """
    wanted = {"id": order_id, "lease": lease(ports), "mind_pause": mind_pause}
    row = ports.database.call(_TAKE_OVER, {**times(ports), **wanted}, repeatable=True)
    return Order.of(row) if row.id else None


def seconds_left(ports: Ports, order_id: str) -> int:
    """After how many seconds an order is surely done or may be taken over; at least 1."""

    def look(session: Session) -> datetime | None:
        row = session.get(OrderRow, order_id)
        if row is None or row.step == "done":
            return None
        return max(row.lease_until, row.retry_at) if row.step == "pay" else row.lease_until

    until = ports.database.read_primary(look)
    left = until - ports.clock.now() if until else timedelta()
    return max(1, math.ceil(min(left, _length(ports) + LONGEST_PAUSE).total_seconds()))


def _length(ports: Ports) -> timedelta:
    return timedelta(seconds=ports.settings.checkout_deadline_seconds) + LEASE_MARGIN
