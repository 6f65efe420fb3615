"""Checkout: an idempotency key, a cart, a saga, an answer.

The same request sent again gets the same answer: the record is claimed by one INSERT (see
`wishes`) and its answer is stored with the order's last step.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy.orm import Session

from chassis import correlation, deadline
from chassis.ids import new_id
from chassis.metrics import saga_step
from chassis.problems import Unavailable
from orders import saga, wishes
from orders.leases import lease, seconds_left, take_over
from orders.models import OrderRow
from orders.order import Order
from orders.ports import Ports
from orders.problems import (
    CartChanged,
    CartEmpty,
    CartNotFound,
    CheckoutUnfinished,
    InProgress,
    Recorded,
)
from orders.wishes import Placed, PlaceOrder


class EarlierAttemptUndone(Exception):
    """An order of this key that an outage stopped was undone just now."""


def place(ports: Ports, wish: PlaceOrder) -> Placed:
    """Buy a cart, once per key.

    Raises:
        IdempotencyKeyReused: the key stands for another body.
        InProgress: the same request is running right now.
        Recorded: it was refused for good, now or before: 402, 409 or 502.
        CartNotFound, CartEmpty, CartChanged, CartAlreadyOrdered: there is nothing to buy, or not
            what the customer saw.
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
    with ports.cart_lock.held(wish.body["cart_id"], wish.id) as free:
        try:
            cart = _cart_to_buy(ports, wish, free=free)
        except (CartNotFound, CartEmpty, CartChanged, InProgress, Unavailable):
            # Perhaps the same request bought it a moment ago, and its answer needs none of this.
            known = wishes.find(ports, wish)
            if known is None:
                raise
            return _answer_again(ports, wish, known)
        order = _opened(ports, wish, cart)
        if isinstance(order, dict):
            return _answer_again(ports, wish, order)
        return _run(saga.Run(ports), order)


def _cart_to_buy(ports: Ports, wish: PlaceOrder, *, free: bool) -> dict[str, Any]:
    # A catalog that is being left alone would end the order as soon as it was opened.
    ports.holds.breaker.check()
    if not free:
        raise InProgress("Another purchase of this cart is under way.")
    cart = read_cart(ports, wish.body["cart_id"])
    mind_version(cart, wish.body.get("cart_version"))
    return cart


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


def _answer_again(ports: Ports, wish: PlaceOrder, known: dict[str, Any]) -> Placed:
    if (placed := wishes.answered(wish, known)) is not None:
        return placed
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


def read_cart(ports: Ports, cart_id: str) -> dict[str, Any]:
    """The cart as it stands now.

    Raises:
        CartNotFound, CartEmpty: there is nothing to buy.
        Unavailable: it cannot be read.
    """
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


def mind_version(cart: dict[str, Any], wanted: int | None) -> None:
    """Raise CartChanged if the cart is not any more what the customer saw when buying it."""
    if wanted not in (None, cart["version"]):
        raise CartChanged(f"The cart is at version {cart['version']}, not {wanted}.")


def _opened(ports: Ports, wish: PlaceOrder, cart: dict[str, Any]) -> Order | dict[str, Any]:
    """Claim the key and open the order, or what the key stands for already."""
    order = _new_order(ports, wish, cart)
    correlation.note(order=order.id)
    result = wishes.claim(ports, wish, order.__dict__, _OPENING_LOG, "order.created", order)
    if result["outcome"] == "claimed":
        saga_step("reserve", "started").inc()
        return order
    return result


def _new_order(ports: Ports, wish: PlaceOrder, cart: dict[str, Any]) -> Order:
    return Order(
        id=new_id(),
        user_id=wish.user_id,
        status="pending",
        step="reserve",
        cart_id=cart["id"],
        cart_version=cart["version"],
        items=items_of(cart),
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


def items_of(cart: dict[str, Any]) -> list[dict[str, Any]]:
    """The lines of a cart as an order has them, at the prices that the cart knows."""
    return [
        {
            "product_id": line["product_id"],
            "name": line["name"] or "",
            "quantity": line["quantity"],
            "unit_price_cents": line["unit_price_cents"] or 0,
        }
        for line in cart["items"]
    ]
