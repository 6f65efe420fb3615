"""The count after a drill: every order as its owner sees it, and the stock, against the answers."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from loadtests.drills import figures
from loadtests.drills.journal import SOLD, Journal
from loadtests.drills.shoppers import Account, Shelf
from loadtests.drills.verdict import Result

_SETTLE_SECONDS = 30.0
_UNFINISHED = ("pending", "reserved", "paid")


def count(
    people: Sequence[Account], manager: Account, shelf: Shelf, journal: Journal, result: Result
) -> None:
    """Note what was acknowledged, lost, doubled and oversold. Raises StackError."""
    orders = _settled(people, shelf)
    statuses = {each["id"]: each["status"] for each in orders}
    books = figures.compare(journal.purchases, journal.replays, statuses)
    result.acknowledged, result.unknown = books.acknowledged, books.unknown
    result.lost, result.duplicates = books.lost, books.duplicates
    sold: dict[int, int] = dict.fromkeys(shelf.supplied, 0)
    for order in orders:
        for line in order["items"] if order["status"] in SOLD else ():
            sold[line["product_id"]] += line["quantity"]
    available = {product: _stock(manager, product) for product in shelf.supplied}
    result.oversold = figures.oversold_units(shelf.supplied, available, sold)


def _settled(people: Sequence[Account], shelf: Shelf) -> list[dict[str, Any]]:
    """Their orders, once the recovery has finished or undone those that nobody waits for."""
    limit = time.monotonic() + _SETTLE_SECONDS
    while True:
        orders = [order for who in people for order in _orders_of(who, shelf)]
        unfinished = any(each["status"] in _UNFINISHED for each in orders)
        if not unfinished or time.monotonic() > limit:
            return orders
        time.sleep(0.5)


def _orders_of(who: Account, shelf: Shelf) -> list[dict[str, Any]]:
    """Every order of a shopper for this drill's products, whatever became of it."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = who.must("GET", f"/api/orders?limit=100{cursor}")
        # One that has no lines yet, or never got any, may be of this drill as well.
        mine = [
            each
            for each in page["items"]
            if not each["items"]
            or any(line["product_id"] in shelf.supplied for line in each["items"])
        ]
        found += mine
        # The newest come first.
        if not page["next_cursor"] or not mine:
            return found
        cursor = f"&cursor={page['next_cursor']}"


def _stock(manager: Account, product: int) -> int:
    # A token that no standby can have replayed sends the read to the primary.
    headers = {"X-Consistency-Token": "catalog:FFFFFFFF/FFFFFFFF"}
    return int(manager.client.must("GET", f"/api/products/{product}", headers=headers)["stock"])
