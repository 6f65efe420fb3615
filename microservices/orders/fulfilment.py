"""What happens to an order after checkout: reading it, cancelling it, moving it on."""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from chassis import cursors
from chassis.auth import Identity
from orders import saga
from orders.checkout import read_order
from orders.history import Answer, Entry, advance
from orders.leases import lease, seconds_left, take_over
from orders.models import OrderRow, SagaLog
from orders.order import Order
from orders.ports import Ports
from orders.problems import InProgress, OrderNotFound, StatusConflict

NEXT_STATUS = {"confirmed": "preparing", "preparing": "shipped", "shipped": "delivered"}


def visible(ports: Ports, caller: Identity, order_id: str) -> Order:
    """An order that the caller may see: a customer's own, any for an operator.

    Raises:
        OrderNotFound: there is none, or it is somebody else's; the two look the same.
    """

    def look(session: Session) -> Order | None:
        row = session.get(OrderRow, order_id)
        return Order.of(row) if row else None

    order = ports.database.read_latest(look)
    if order is None or not (caller.may("operator") or order.user_id == caller.user_id):
        raise OrderNotFound(f"There is no order {order_id}.")
    return order


def page(
    ports: Ports, caller: Identity, status: str | None, limit: int, cursor: str | None
) -> tuple[list[Order], str | None]:
    """The caller's orders, newest first; everybody's for an operator."""
    query = select(OrderRow).order_by(OrderRow.id.desc()).limit(limit + 1)
    if not caller.may("operator"):
        query = query.where(OrderRow.user_id == caller.user_id)
    if status:
        query = query.where(OrderRow.status == status)
    if cursor:
        query = query.where(OrderRow.id < cursors.decode(cursor, "orders", (str,))[0])
    found = ports.database.read_latest(
        lambda session: [Order.of(row) for row in session.scalars(query)]
    )
    more = len(found) > limit
    return found[:limit], cursors.encode("orders", [found[limit - 1].id]) if more else None


def timeline(ports: Ports, order_id: str) -> list[SagaLog]:
    """Each step, retry and compensation of an order, in the order in which they happened."""
    query = select(SagaLog).where(SagaLog.order_id == order_id).order_by(SagaLog.id)
    return ports.database.read_latest(lambda session: list(session.scalars(query)))


def cancel(ports: Ports, order: Order) -> tuple[Order, list[str]]:
    """Cancel an order before it is prepared: refund it and give its stock back, once.

    The cancellation is final when this returns; what another service cannot do right now is done
    by the recovery. Repeating it is fine.

    Returns:
        The order, and the catalog's consistency tokens if its stock was given back now.

    Raises:
        StatusConflict: it is being prepared already, or it failed.
        InProgress: its checkout is still running.
    """
    if order.status == "cancelled":
        return order, []
    if order.step != "done":
        taken = take_over(ports, order.id, mind_pause=False)
        if taken is None:
            detail = "The checkout of this order has not ended yet."
            raise InProgress(detail, retry_after=seconds_left(ports, order.id))
        order = taken
    elif order.status != "confirmed":
        raise StatusConflict(f"An order that is {order.status} cannot be cancelled.")
    changes = {"status": "cancelled", "step": "compensate", "lease_until": lease(ports)}
    # A key that is answered keeps its answer; one that is still open did not buy anything.
    refusal = StatusConflict(f"Order {order.id} was cancelled before it was confirmed.")
    answer = None if order.step == "done" else Answer(409, refusal.document())
    entries = [Entry("cancel", "succeeded"), Entry("refund", "started")]
    order = advance(ports, order, changes, entries, answer=answer)
    this = saga.Run(ports)
    return saga.run(this, order), this.catalog_tokens


def move_on(ports: Ports, order_id: str, status: str) -> Order:
    """Set the next status of a confirmed order, as an operator does.

    Raises:
        OrderNotFound: there is none.
        StatusConflict: that status does not come next.
    """
    order = read_order(ports, order_id)
    if order is None:
        raise OrderNotFound(f"There is no order {order_id}.")
    if NEXT_STATUS.get(order.status) != status or order.step != "done":
        raise StatusConflict(f"An order that is {order.status} cannot become {status}.")
    return advance(ports, order, {"status": status}, [Entry(status, "succeeded")])


def reservation_verdict(order: Order) -> str:
    """What the catalog shall do with an order's expired hold: commit, release or hold."""
    if order.status in ("confirmed", "preparing", "shipped", "delivered"):
        return "commit"
    if order.status in ("failed", "cancelled"):
        return "release"
    return "hold"


def totals(session: Session) -> dict[str, Any]:
    """Orders by status and unfinished sagas, for /status."""
    by_status = session.execute(
        select(OrderRow.status, func.count()).group_by(OrderRow.status).order_by(OrderRow.status)
    ).all()
    unfinished = session.scalar(select(func.count()).where(OrderRow.step != "done"))
    return {"by_status": {row[0]: row[1] for row in by_status}, "unfinished": unfinished or 0}
