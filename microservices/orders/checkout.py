"""Checkout: an idempotency key, a cart, a saga, an answer.

The same request sent again gets the same answer: the record is claimed by one INSERT (see
`migrations/sql/checkout_functions_0001.sql`) and its answer is stored with the order's last step.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from chassis import deadline
from chassis.ids import new_id
from chassis.metrics import SAGA_STEPS
from chassis.problems import Unavailable
from orders import saga
from orders.history import dumps
from orders.leases import lease, seconds_left, take_over
from orders.models import IdempotencyKey, OrderRow
from orders.order import Order
from orders.ports import Ports
from orders.problems import (
    CartAlreadyOrdered,
    CartEmpty,
    CartNotFound,
    CheckoutUnfinished,
    IdempotencyKeyReused,
    InProgress,
    Recorded,
)

ROUTE = "POST /api/orders"


@dataclass(frozen=True)
class PlaceOrder:
    """A customer's wish to buy a cart.

    Attributes:
        user_id, key: whose key, and which.
        body: the request's body, for comparing it with the one the key was first used for.
    """

    user_id: str
    key: str
    body: dict[str, Any]

    @property
    def body_hash(self) -> str:
        """SHA-256 of the body as canonical JSON (sorted keys, no spaces)."""
        canonical = json.dumps(self.body, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


class EarlierAttemptUndone(Exception):
    """An order of this key that an outage stopped was undone just now."""


@dataclass(frozen=True)
class Placed:
    """The answer: the order's document, and the catalog's consistency tokens if stock moved now."""

    document: dict[str, Any]
    catalog_tokens: list[str]


def place(ports: Ports, wish: PlaceOrder) -> Placed:
    """Buy a cart, once per key.

    Raises:
        IdempotencyKeyReused: the key stands for another body.
        InProgress: the same request is running right now.
        Recorded: it was refused for good, now or before: 402, 409 or 502.
        CartNotFound, CartEmpty, CartAlreadyOrdered: there is nothing to buy.
        CheckoutUnfinished, Unavailable: it could not be finished within the deadline; the same
            request may be sent again.
    """
    with deadline.within(ports.settings.checkout_deadline_seconds):
        try:
            return _place(ports, wish)
        except EarlierAttemptUndone:
            # What an outage left of the first try is undone now, and its key is free: begin anew.
            return _place(ports, wish)


def _place(ports: Ports, wish: PlaceOrder) -> Placed:
    known = _find_key(ports, wish)
    if known is not None:
        return _answer_again(ports, wish, known)
    # A catalog that is being left alone would end the order as soon as it was opened.
    ports.holds.breaker.check()
    try:
        cart = _read_cart(ports, wish.body["cart_id"])
    except (CartNotFound, CartEmpty):
        # Perhaps the same request emptied it a moment ago.
        known = _find_key(ports, wish)
        if known is None:
            raise
        return _answer_again(ports, wish, known)
    order = _opened(ports, wish, cart)
    if isinstance(order, dict):
        return _answer_again(ports, wish, order)
    return _run(saga.Run(ports), order)


def _run(this: saga.Run, order: Order) -> Placed:
    order = saga.run(this, order)
    if order.status == "confirmed":
        return Placed(order.document(), this.catalog_tokens)
    if order.step == "done" and order.failure and order.failure.get("final", True):
        raise Recorded({k: v for k, v in order.failure.items() if k != "final"})
    detail = (order.failure or {}).get("detail", "The payment did not answer in time.")
    if order.step != "done":
        detail += f" Order {order.id} stays pending until it is settled."
    raise CheckoutUnfinished(detail, order_id=order.id, undone=order.step == "done")


def _find_key(ports: Ports, wish: PlaceOrder) -> dict[str, Any] | None:
    oldest = ports.clock.now() - timedelta(hours=ports.settings.idempotency_hours)
    row = ports.database.read_primary(
        lambda session: session.scalars(
            select(IdempotencyKey).where(
                IdempotencyKey.user_id == wish.user_id,
                IdempotencyKey.route == ROUTE,
                IdempotencyKey.key == wish.key,
            )
        ).one_or_none()
    )
    if row is None or (row.status is not None and row.created_at < oldest):
        return None
    return {
        "order_id": row.order_id,
        "body_hash": row.body_hash,
        "status": row.status,
        "body": row.body,
    }


def _answer_again(ports: Ports, wish: PlaceOrder, known: dict[str, Any]) -> Placed:
    if known["body_hash"] != wish.body_hash:
        raise IdempotencyKeyReused("This Idempotency-Key was used with another body.")
    if known["status"] == 201:
        return Placed(json.loads(known["body"]), [])
    if known["status"] is not None:
        raise Recorded(json.loads(known["body"]))
    order = take_over(ports, known["order_id"], mind_pause=True)
    if order is None:
        detail = "The first request with this key has not ended yet."
        raise InProgress(detail, retry_after=seconds_left(ports, known["order_id"]))
    try:
        return _run(saga.Run(ports, attempt=2), order)
    except CheckoutUnfinished as error:
        if error.undone:
            raise EarlierAttemptUndone from error
        raise


def read_order(ports: Ports, order_id: str) -> Order | None:
    """The order as the primary has it."""

    def look(session: Session) -> Order | None:
        row = session.get(OrderRow, order_id)
        return Order.of(row) if row else None

    return ports.database.read_primary(look)


def _read_cart(ports: Ports, cart_id: str) -> dict[str, Any]:
    answer = ports.cart.call(
        "GET",
        f"/api/carts/{cart_id}",
        seconds=ports.settings.cart_wait_seconds,
        repeatable=True,
    )
    if answer.status == 404:
        raise CartNotFound(f"There is no cart {cart_id}.")
    if answer.status != 200:
        raise Unavailable("The cart could not be read.")
    cart: dict[str, Any] = answer.body
    if not cart["items"]:
        raise CartEmpty("There is nothing in the cart.")
    return cart


def _opened(ports: Ports, wish: PlaceOrder, cart: dict[str, Any]) -> Order | dict[str, Any]:
    """Claim the key and open the order, or what the key stands for already."""
    order = _new_order(ports, wish, cart)
    now = order.created_at
    row = ports.database.call(
        "SELECT open_order(CAST(:order AS jsonb), :route, :key, :hash, CAST(:log AS jsonb),"
        " CAST(:events AS jsonb), :now, :lease, :oldest)",
        {
            "order": dumps(order.__dict__),
            "route": ROUTE,
            "key": wish.key,
            "hash": wish.body_hash,
            "log": dumps(_OPENING_LOG),
            "events": dumps(
                [{"id": new_id(), "type": "order.created", "data": order.event_data()}]
            ),
            "now": now,
            "lease": order.lease_until,
            "oldest": now - timedelta(hours=ports.settings.idempotency_hours),
        },
        repeatable=True,
    )
    result: dict[str, Any] = row[0]
    if result["outcome"] == "claimed":
        SAGA_STEPS.labels("reserve", "started").inc()
        return order
    if result["outcome"] == "known":
        return result
    if result["outcome"] == "busy":
        raise InProgress
    raise CartAlreadyOrdered("An order of this cart, as it stands, is under way or done.")


def _new_order(ports: Ports, wish: PlaceOrder, cart: dict[str, Any]) -> Order:
    return Order(
        id=new_id(),
        user_id=wish.user_id,
        status="pending",
        step="reserve",
        cart_id=cart["id"],
        cart_version=cart["version"],
        items=[_item(line) for line in cart["items"]],
        total_cents=cart["total_cents"],
        currency=cart["currency"],
        payment=wish.body["payment"],
        shipping_address=wish.body.get("shipping_address"),
        failure=None,
        version=1,
        created_at=ports.clock.now(),
        lease_until=lease(ports),
    )


_OPENING_LOG = [
    {"step": "validate", "outcome": "succeeded", "attempt": 1, "detail": ""},
    {"step": "reserve", "outcome": "started", "attempt": 1, "detail": ""},
]


def _item(line: dict[str, Any]) -> dict[str, Any]:
    return {
        "product_id": line["product_id"],
        "name": line["name"] or "",
        "quantity": line["quantity"],
        "unit_price_cents": line["unit_price_cents"] or 0,
    }
