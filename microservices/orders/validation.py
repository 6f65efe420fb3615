"""The first step of an asynchronous order: its cart is read, and what is in it is ordered."""

from __future__ import annotations

from sqlalchemy.exc import IntegrityError

from chassis.problems import Problem, Unavailable
from orders import saga
from orders.checkout import items_of, mind_version, read_cart
from orders.history import Entry, advance
from orders.order import Order
from orders.problems import CartAlreadyOrdered, CartChanged, CartEmpty, CartNotFound


def validate(this: saga.Run, order: Order) -> Order:
    """Read the cart and go on to the reservation, or end the order with the reason why not.

    A cart that cannot be read now is read later, for as long as the order is worth finishing.

    Raises:
        LeaseLost: another worker took it over.
    """
    if not this.forward:
        return saga.fail(this, order, [], saga.gave_up())
    try:
        cart = read_cart(this.ports, order.cart_id)
        mind_version(cart, order.cart_version)
    except (CartNotFound, CartEmpty, CartChanged) as refusal:
        return _refuse(this, order, refusal)
    except Unavailable as error:
        return saga.wait(this, order, [Entry("validate", "failed", this.attempt, str(error))])
    changes = {
        "step": "reserve",
        "cart_version": cart["version"],
        "items": items_of(cart),
        "total_cents": cart["total_cents"],
        "currency": cart["currency"],
    }
    entries = [Entry("validate", "succeeded", this.attempt), Entry("reserve", "started")]
    try:
        return advance(this.ports, order, changes, entries)
    except IntegrityError as error:
        # The index that lets a cart be bought once as it stands.
        if "orders_once_per_cart" not in str(error.orig):
            raise
        return _refuse(this, order, CartAlreadyOrdered("Another order bought this cart."))


def _refuse(this: saga.Run, order: Order, refusal: Problem) -> Order:
    entry = Entry("validate", "refused", this.attempt, refusal.detail)
    return saga.fail(this, order, [entry], refusal.document())
