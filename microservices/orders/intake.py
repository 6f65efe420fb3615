"""Orders that are taken at once and checked out later (`Prefer: respond-async`).

Taking one is one statement: key, order, first line of the log and the event `order.placed`, all or
nothing, and nobody else is asked. The event goes through the outbox and the bus to a consumer that
puts a task into the workers' queue; a worker takes the order over with a lease and does the same
saga as a synchronous checkout. What the queue loses is put into it again by `dispatch.requeue`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from chassis import correlation
from chassis.clock import rfc3339
from chassis.ids import new_id
from chassis.metrics import saga_step
from orders import wishes
from orders.history import dumps
from orders.models import OrderRow
from orders.order import Order
from orders.ports import Ports
from orders.problems import InProgress
from orders.wishes import Placed, PlaceOrder

ACCEPTED = 202


def accept(ports: Ports, wish: PlaceOrder) -> Placed:
    """Take an order, to be checked out by a worker; once per key.

    The cart is not looked at: one that is unknown or empty ends the order as failed.

    Raises:
        IdempotencyKeyReused: the key stands for another body.
        InProgress: a synchronous request of this key has not ended yet.
        Recorded: a synchronous request of this key was refused for good.
        CartAlreadyOrdered: the version of the cart that the customer named is bought already.
    """
    order = _new_order(ports, wish)
    correlation.note(order=order.id)
    document = order.document()
    opening = {**order.__dict__, "answer": {"status": ACCEPTED, "body": dumps(document)}}
    result = wishes.claim(ports, wish, opening, _OPENING_LOG, "order.placed", order)
    if result["outcome"] == "claimed":
        saga_step("accept", "succeeded").inc()
        return Placed(document, [], ACCEPTED)
    placed = wishes.answered(wish, result)
    if placed is None:
        raise InProgress("The first request with this key has not ended yet.")
    return placed


_OPENING_LOG = [{"step": "accept", "outcome": "succeeded", "attempt": 1, "detail": ""}]


def _new_order(ports: Ports, wish: PlaceOrder) -> Order:
    now = ports.clock.now()
    return Order(
        id=new_id(),
        user_id=wish.user_id,
        status="pending",
        step="validate",
        cart_id=wish.body["cart_id"],
        cart_version=wish.body.get("cart_version"),
        items=[],
        total_cents=0,
        currency="BRL",
        payment=wish.body["payment"],
        shipping_address=wish.body.get("shipping_address"),
        failure=None,
        version=1,
        created_at=now,
        # Nobody works on it yet.
        lease_until=now,
        queued_at=now,
    )


def backlog(ports: Ports) -> dict[str, Any]:
    """For /status: orders that no worker has begun, since when, and tasks in the queue."""

    def look(session: Session) -> tuple[int, str | None]:
        waiting = OrderRow.step == "validate"
        count = session.scalar(select(func.count()).where(waiting)) or 0
        oldest = session.scalar(
            select(OrderRow.created_at).where(waiting).order_by(OrderRow.id).limit(1)
        )
        return count, rfc3339(oldest) if oldest else None

    waiting, oldest = ports.database.read_latest(look)
    return {"waiting": waiting, "oldest": oldest, "queue_length": ports.queue.length()}
