"""Carts: opened by anyone, owned by who knows the id, gone a day after their last use.

Every change is one script in Redis, so any number of them at once has the effect of one after
the other. What the catalog says is looked up before; checkout, not the cart, has the last word.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from cart.ports import Ports
from cart.problems import CartNotFound, InsufficientStock, ItemNotFound, ProductNotFound
from cart.products import HEARD, Knowledge, Remembered, key_of, remembered
from cart.store import MOST_SETTLED
from chassis.clock import rfc3339
from chassis.ids import ULID_PATTERN
from chassis.problems import Unprocessable

CART_ID = r"^[A-Za-z0-9_-]{24}$"
MOST_LINES = 100
MOST_UNITS = 10_000
CURRENCY = "BRL"
ULID_LENGTH = 26


@dataclass(frozen=True)
class Item:
    """A line of a cart as it can be shown now; None stands for what is not known."""

    product_id: int
    quantity: int
    name: str | None
    unit_price_cents: int | None
    available: bool | None
    verified: bool

    @property
    def line_total_cents(self) -> int | None:
        """The price of all units, or None."""
        return None if self.unit_price_cents is None else self.unit_price_cents * self.quantity

    def document(self) -> dict[str, Any]:
        """The item as the contract shows it."""
        return {
            "product_id": self.product_id,
            "name": self.name,
            "quantity": self.quantity,
            "unit_price_cents": self.unit_price_cents,
            "line_total_cents": self.line_total_cents,
            "available": self.available,
            "verified": self.verified,
        }


@dataclass(frozen=True)
class Cart:
    """A cart at one version; `items` are in the order in which they were first added."""

    id: str
    version: int
    items: tuple[Item, ...]
    expires_at: datetime

    @property
    def total_cents(self) -> int:
        """The sum of the lines whose price is known."""
        return sum(item.line_total_cents or 0 for item in self.items)

    def document(self) -> dict[str, Any]:
        """The cart as the contract shows it."""
        return {
            "id": self.id,
            "items": [item.document() for item in self.items],
            "total_cents": self.total_cents,
            "currency": CURRENCY,
            "expires_at": rfc3339(self.expires_at),
            "version": self.version,
        }


@dataclass(frozen=True)
class Change:
    """What is to become of one line of a cart."""

    cart_id: str
    how: Literal["add", "set"]
    product_id: int
    quantity: int


def open_cart(ports: Ports) -> Cart:
    """A new, empty cart under an id that cannot be guessed."""
    cart_id = secrets.token_urlsafe(18)
    ports.scripts.open([_key(cart_id)], [_ttl(ports)])
    return Cart(cart_id, 1, (), _expiry(ports))


def find(ports: Ports, cart_id: str, token: str | None) -> Cart:
    """The cart as it is now; looking at it keeps it for another day.

    Raises:
        CartNotFound: it never was, has expired or was deleted.
    """
    stored, found = _read(ports, cart_id)
    known = ports.products.look(_products_in(stored), token, remembered=found)
    return _shown(ports, cart_id, stored, known)


def change(ports: Ports, wanted: Change, token: str | None) -> Cart:
    """Add to a line or set it, making it if the cart has none of the product.

    While the catalog cannot be asked the cart takes anything; checkout will decide.

    Raises:
        CartNotFound: there is no such cart.
        ProductNotFound: there is no such product, or it is no longer sold.
        InsufficientStock: the line would come to more than is in stock.
        Unprocessable: the line or the cart would be too large.
    """
    done, stored, found = _change_by_what_is_known(ports, wanted)
    if done:
        known = ports.products.look(_products_in(stored), token, remembered=found)
        return _shown(ports, wanted.cart_id, stored, known)
    lines = _products_in(stored) | {wanted.product_id}
    if len(lines) > MOST_LINES:
        raise _too_many_lines()
    known = ports.products.look(lines, token, remembered=found)
    try:
        stored = _apply(ports, wanted, known)
    except (ProductNotFound, InsufficientStock):
        if wanted.product_id in known.asked:
            raise
        # What is remembered may lag behind a restock: only the catalog itself refuses.
        known = ports.products.look(lines, token, anew=frozenset({wanted.product_id}))
        stored = _apply(ports, wanted, known)
    if not _products_in(stored) <= lines:  # somebody else added something at the same time
        known = ports.products.look(_products_in(stored), token)
    return _shown(ports, wanted.cart_id, stored, known)


def remove(ports: Ports, cart_id: str, product_id: int, token: str | None) -> Cart:
    """Take a product out of the cart.

    Raises:
        CartNotFound: there is no such cart.
        ItemNotFound: the cart has none of it.
    """
    outcome = ports.scripts.remove([_known_key(cart_id)], [product_id, _ttl(ports)])
    if outcome[0] == "gone":
        raise _gone()
    if outcome[0] == "absent":
        raise ItemNotFound(f"The cart has no product {product_id}.")
    stored = _fields(outcome[1])
    return _shown(ports, cart_id, stored, ports.products.look(_products_in(stored), token))


def drop(ports: Ports, cart_id: str) -> None:
    """Forget the cart.

    Raises:
        CartNotFound: there is no such cart.
    """
    if not ports.redis.unlink(_known_key(cart_id)):
        raise _gone()


def take_out(ports: Ports, cart_id: str, order_id: str, bought: Mapping[int, int]) -> bool:
    """Take what an order bought out of its cart, once; what was added since stays.

    Args:
        bought: product id → quantity.

    Returns:
        Whether anything was done: not for a cart that is gone or has had this order.

    Raises:
        ValueError: the order's id is not one.
    """
    if not re.fullmatch(ULID_PATTERN, order_id):
        raise ValueError("an order's id is a ULID")
    if not re.fullmatch(CART_ID, cart_id):
        return False
    lines = [part for line in bought.items() for part in line]
    done = ports.scripts.settle(
        [_key(cart_id)], [order_id, _ttl(ports), MOST_SETTLED * (ULID_LENGTH + 1), *lines]
    )
    return bool(done)


def _change_by_what_is_known(
    ports: Ports, wanted: Change
) -> tuple[bool, dict[str, str], Remembered]:
    """Whether it was done, then what `_read` answers: one way to Redis, the usual case."""
    answer = ports.scripts.change_known(
        [_known_key(wanted.cart_id), HEARD, key_of(wanted.product_id)],
        [wanted.how, wanted.product_id, wanted.quantity, _ttl(ports), MOST_LINES, MOST_UNITS],
    )
    return bool(answer and answer[0]), *_understood(answer[1:])


def _apply(ports: Ports, wanted: Change, known: Knowledge) -> dict[str, str]:
    view, verified = known.views.get(wanted.product_id), known.verified(wanted.product_id)
    if verified and (view is None or not view.active):
        raise ProductNotFound(f"There is no product {wanted.product_id}.")
    snapshot = view and json.dumps({"name": view.name, "price_cents": view.price_cents})
    stock = view.available if view and verified else ""
    outcome = ports.scripts.change(
        [_known_key(wanted.cart_id)],
        [
            *(wanted.how, wanted.product_id, wanted.quantity, stock, snapshot or ""),
            *(_ttl(ports), MOST_LINES, MOST_UNITS),
        ],
    )
    match outcome[0]:
        case "gone":
            raise _gone()
        case "lines":
            raise _too_many_lines()
        case "units":
            raise Unprocessable.field("quantity", f"a line holds at most {MOST_UNITS} units")
        case "short":
            line = {"product_id": wanted.product_id, "requested": outcome[1], "available": stock}
            raise InsufficientStock([line])
    return _fields(outcome[1])


def _read(ports: Ports, cart_id: str) -> tuple[dict[str, str], Remembered]:
    """What is in a cart, and what is known of that, as one moment has both."""
    return _understood(ports.scripts.look([_known_key(cart_id), HEARD], [_ttl(ports)]))


def _understood(answer: Sequence[Any]) -> tuple[dict[str, str], Remembered]:
    if not answer:
        raise _gone()
    flat, heard, ids, views = answer
    return _fields(flat), remembered(map(int, ids), views, bool(heard))


def _shown(ports: Ports, cart_id: str, stored: dict[str, str], known: Knowledge) -> Cart:
    placed = []
    for product_id in _products_in(stored):
        quantity, place, snapshot = stored[str(product_id)].split(" ", 2)
        placed.append((int(place), _item(product_id, int(quantity), snapshot, known)))
    items = tuple(item for _, item in sorted(placed, key=lambda pair: pair[0]))
    return Cart(cart_id, int(stored["_version"]), items, _expiry(ports))


def _item(product_id: int, quantity: int, snapshot: str, known: Knowledge) -> Item:
    view, verified = known.views.get(product_id), known.verified(product_id)
    seen = json.loads(snapshot) if snapshot else {"name": None, "price_cents": None}
    return Item(
        product_id=product_id,
        quantity=quantity,
        name=view.name if view else seen["name"],
        unit_price_cents=view.price_cents if view else seen["price_cents"],
        available=(view is not None and view.active and view.available >= quantity)
        if verified
        else None,
        verified=verified,
    )


def _products_in(stored: Mapping[str, str]) -> set[int]:
    return {int(field) for field in stored if not field.startswith("_")}


def _fields(flat: list[str]) -> dict[str, str]:
    return dict(zip(flat[::2], flat[1::2], strict=True))


def _key(cart_id: str) -> str:
    return f"cart:{cart_id}"


def _known_key(cart_id: str) -> str:
    if not re.fullmatch(CART_ID, cart_id):
        raise _gone()
    return _key(cart_id)


def _ttl(ports: Ports) -> int:
    return ports.settings.cart_ttl_seconds * 1000


def _expiry(ports: Ports) -> datetime:
    return ports.clock.now() + timedelta(seconds=ports.settings.cart_ttl_seconds)


def _gone() -> CartNotFound:
    return CartNotFound("There is no such cart, or it has expired.")


def _too_many_lines() -> Unprocessable:
    return Unprocessable.field("product_id", f"a cart holds at most {MOST_LINES} products")
