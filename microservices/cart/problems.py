"""What can go wrong with a cart, with the data that the caller needs."""

from __future__ import annotations

from typing import Any

from chassis.problems import Conflict, NotFound


class CartNotFound(NotFound):
    """The cart never was, has expired, or was deleted: nobody can tell which."""

    slug, title = "cart-not-found", "No such cart"


class ItemNotFound(NotFound):
    slug, title = "item-not-found", "No such item in the cart"


class ProductNotFound(NotFound):
    """There is no such product, or it is no longer sold."""

    slug, title = "product-not-found", "No such product"


class InsufficientStock(Conflict):
    """Lists the line that falls short: `{product_id, requested, available}`.

    `requested` is what the line would have come to, with what the cart already holds.
    """

    slug, title = "insufficient-stock", "Not enough in stock"

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        named = ", ".join(str(line["product_id"]) for line in lines)
        super().__init__(f"Not enough in stock of product {named}.", lines=lines)
