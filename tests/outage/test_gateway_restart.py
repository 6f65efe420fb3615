"""The gateway restarted while shoppers buy: gracefully nobody notices much, killed nobody pays twice.

What a client was not answered it sends again with the same key.
"""

from __future__ import annotations

import signal
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import httpx
import psutil
import pytest

from local.stack import Stack
from tests.books import books_hold
from tests.figures import figure
from tests.race.rig import FULL, counted, kill, ledgers, own_shops, rows, slug, together, wait_back
from tests.shop import Account, Shop, wait_until

BUYERS = 4
RESTARTS = 20 if FULL else 2
BACK_WITHIN_SECONDS = 10
PATIENCE_SECONDS = 30


@dataclass
class Buyer:
    """Buys one after the other until told to stop; asks again what was not answered."""

    shop: Shop
    user: Account
    product: int
    orders: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def run(self, stop: threading.Event) -> None:
        """Buy until `stop`."""
        while not stop.is_set():
            cart: str = wait_until(self._fill, PATIENCE_SECONDS)
            wait_until(partial(self._pay, cart, uuid.uuid4().hex), PATIENCE_SECONDS)

    def _fill(self) -> str:
        try:
            return self.shop.new_cart((self.product, 1))
        except (httpx.HTTPError, KeyError, ValueError):
            self.told.append("no answer")
            return ""

    def _pay(self, cart: str, key: str) -> bool:
        try:
            answer = self.shop.checkout(self.user, cart, key=key)
        except httpx.HTTPError:
            self.told.append("no answer")
            return False
        self.told.append(slug(answer))
        assert answer.status_code in (201, 409, 503), answer.text
        if answer.status_code == 201:
            self.orders.append(answer.json()["id"])
        return answer.status_code == 201


@pytest.mark.parametrize("how", ["reloaded", "killed"])
def test_the_gateway_may_restart_while_shoppers_buy(
    stack: Stack, shop: Shop, customer: Account, how: str
) -> None:
    product = shop.new_product(stock=100_000)["id"]
    stop = threading.Event()
    restart = {"reloaded": _reload, "killed": _kill}[how]

    def outages() -> None:
        try:
            for _ in range(RESTARTS):
                before = sum(len(buyer.orders) for buyer in buyers)
                wait_until(lambda n=before: sum(len(b.orders) for b in buyers) > n, 30)
                restart(stack)
        finally:
            stop.set()

    with own_shops(stack, BUYERS, timeout=15) as shops:
        buyers = [Buyer(each, customer, product) for each in shops]
        works: list[Callable[[], None]] = [partial(buyer.run, stop) for buyer in buyers]
        together([*works, outages], seconds=900)
    told = [each for buyer in buyers for each in buyer.told]
    acknowledged = sorted(order for buyer in buyers for order in buyer.orders)
    figure(f"gateway {how}", f"{RESTARTS} times while {BUYERS} buy: {counted(told)}")

    if how == "reloaded":
        assert set(told) == {"201"}
    query = "SELECT id FROM orders WHERE user_id = %s AND status = 'confirmed' ORDER BY id"
    assert acknowledged == [row[0] for row in rows(stack, "orders", query, customer.id)]
    wait_until(lambda: ledgers(stack, [product])[product].held == 0)
    assert ledgers(stack, [product])[product].sold == len(acknowledged)
    assert books_hold(stack)


def _reload(stack: Stack) -> None:
    """As after a change of its configuration: new workers, and the old ones end what they do."""
    master = psutil.Process(stack.pid("gateway"))
    before = {child.pid for child in master.children()}
    master.send_signal(signal.SIGHUP)
    wait_until(lambda: {c.pid for c in master.children()} - before, BACK_WITHIN_SECONDS)


def _kill(stack: Stack) -> None:
    wait_back(stack, "gateway", kill(stack, "gateway"), BACK_WITHIN_SECONDS)
