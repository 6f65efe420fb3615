"""What a worker does with an order, and with whatever it finds half done."""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from sqlalchemy import func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from chassis import deadline
from chassis.problems import Unavailable
from orders import saga
from orders.history import advance
from orders.leases import take_over
from orders.models import SagaLog
from orders.order import Order
from orders.ports import Ports
from orders.problems import LeaseLost
from orders.validation import validate

# How long an order waits whose cart is just being bought by another.
CART_PAUSE = timedelta(seconds=1)

log = structlog.get_logger()


def check_out(ports: Ports, order_id: str) -> None:
    """Take an order over and bring it as far as it goes.

    Nothing happens to one that is done, waits for its time, or is worked on by another: so a task
    that comes again has no effect.
    """
    order = take_over(ports, order_id, mind_pause=True)
    if order is not None:
        finish(ports, order)


def finish(ports: Ports, order: Order) -> None:
    """Go on with an order whose lease the caller holds: forward, or back if it is too old."""
    attempt, begun = 1, None
    if not _is_new(order):
        attempt, begun = ports.database.read_primary(lambda session: _past(session, order))
    age = ports.clock.now() - (begun or ports.clock.now())
    forward = age.total_seconds() <= ports.settings.recovery_forward_seconds
    try:
        with deadline.within(ports.settings.checkout_deadline_seconds):
            after = _go_on(saga.Run(ports, attempt=attempt, forward=forward), order)
    except LeaseLost:
        return
    except (Unavailable, OperationalError, PoolTimeout) as error:
        # The lease lapses, and then the order is somebody's again.
        log.warning("work_interrupted", order=order.id, step=order.step, error=repr(error)[:200])
        return
    log.info("worked", order=order.id, step=order.step, status=after.status, attempt=attempt)


def _go_on(this: saga.Run, order: Order) -> Order:
    if order.step == "validate":
        with this.ports.cart_lock.held(order.cart_id, order.id) as free:
            if not free:
                now = this.ports.clock.now()
                return advance(
                    this.ports, order, {"lease_until": now, "retry_at": now + CART_PAUSE}, []
                )
            order = validate(this, order)
            return order if order.step == "validate" else saga.run(this, order)
    return saga.run(this, order)


def _is_new(order: Order) -> bool:
    """Whether nothing was done for it but to take it, and then to take it over."""
    return order.step == "validate" and order.version == 2


def _past(session: Session, order: Order) -> tuple[int, datetime | None]:
    """Which attempt at the present step this is, and when the order was first worked on.

    The time that an order waited for a worker does not make it too old to be finished.
    """
    step = "release" if order.step == "compensate" else order.step
    missed = func.count().filter(SagaLog.step == step, SagaLog.outcome.in_(("unknown", "failed")))
    begun = func.min(SagaLog.at).filter(SagaLog.step != "accept")
    row = session.execute(select(missed, begun).where(SagaLog.order_id == order.id)).one()
    return 1 + row[0], row[1]
