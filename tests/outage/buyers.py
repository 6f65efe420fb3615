"""Shoppers who buy without pause, and ask again with the same key what was not answered."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial

import httpx

from local.stack import Stack
from tests.books import books_hold
from tests.outage.rehearsal import unfinished
from tests.race.rig import ledgers, own_shops, rows, slug, together
from tests.shop import Account, Shop, wait_until

BUYERS = 4
# What an outage may look like to who buys.
ALLOWED = {
    "201",
    "409 in-progress",
    "503 checkout-unfinished",
    "503 unavailable",
    "504 gateway-timeout",
    "no answer",
}


@dataclass
class Buyer:
    """Buys one after the other until told to stop."""

    shop: Shop
    user: Account
    product: int
    patience: float
    orders: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def run(self, stop: threading.Event) -> None:
        """Buy until `stop`; what was begun is ended first."""
        while not stop.is_set():
            cart: str = wait_until(self._fill, self.patience)
            wait_until(partial(self._pay, cart, uuid.uuid4().hex), self.patience)

    def _fill(self) -> str:
        with suppress(httpx.HTTPError):
            opened = self.shop.http.post("/api/carts")
            if opened.status_code == 201:
                cart: str = opened.json()["id"]
                line = {"quantity": 1}
                put = self.shop.http.put(f"/api/carts/{cart}/items/{self.product}", json=line)
                if put.status_code == 200:
                    return cart
        return ""

    def _pay(self, cart: str, key: str) -> bool:
        try:
            answer = self.shop.checkout(self.user, cart, key=key)
        except httpx.HTTPError:
            self.told.append("no answer")
            return False
        self.told.append(slug(answer))
        assert self.told[-1] in ALLOWED, answer.text
        if answer.status_code == 201:
            self.orders.append(answer.json()["id"])
        return answer.status_code == 201


def buy_during(
    stack: Stack,
    shop: Shop,
    outage: Callable[[Callable[[], int]], None],
    *,
    patience: float = 30,
) -> list[str]:
    """Have shoppers buy during an outage, and hold that it lost and doubled nothing.

    Args:
        stack, shop: where.
        outage: what goes wrong; it is given a function that counts the orders so far.
        patience: seconds that a shopper asks again for one purchase.

    Returns:
        What the shoppers were told, one for each answer.
    """
    product, user = shop.new_product(stock=100_000)["id"], shop.new_user()
    stop = threading.Event()
    with own_shops(stack, BUYERS, timeout=15) as shops:
        buyers = [Buyer(each, user, product, patience) for each in shops]

        def run_outage() -> None:
            try:
                outage(lambda: sum(len(buyer.orders) for buyer in buyers))
            finally:
                stop.set()

        together([*(partial(buyer.run, stop) for buyer in buyers), run_outage], seconds=900)
    acknowledged = sorted(order for buyer in buyers for order in buyer.orders)
    wait_until(lambda: not unfinished(stack, user), 60)
    query = "SELECT id FROM orders WHERE user_id = %s AND status = 'confirmed' ORDER BY id"
    assert acknowledged == [row[0] for row in rows(stack, "orders", query, user.id)]
    wait_until(lambda: ledgers(stack, [product])[product].held == 0, 30)
    ledger = ledgers(stack, [product])[product]
    assert ledger.balanced and ledger.sold == len(acknowledged)
    assert books_hold(stack)
    return [each for buyer in buyers for each in buyer.told]


def wait_for_more(orders: Callable[[], int], seconds: float = 30) -> None:
    """Wait until every buyer could have bought once more."""
    wanted = orders() + BUYERS
    wait_until(lambda: orders() >= wanted, seconds)
