"""The death of any process at any moment of a purchase loses nothing and sells nothing twice.

Shoppers keep a log of ok, fail and unknown, and send what is unknown again with the same key.
"""

from __future__ import annotations

import random
import threading
import uuid
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import httpx

from local.stack import Stack
from tests.race.rig import (
    FULL,
    counted,
    figure,
    kill,
    ledgers,
    own_shops,
    rows,
    seconds_of,
    slug,
    wait_back,
)
from tests.shop import Account, Shop, wait_until

SHOPPERS = 4
START = 100_000
VICTIMS: tuple[str, ...] = (
    "redis-streams",
    "catalog-1",
    "cart",
    "orders",
    "catalog-background",
    "orders-background",
    "orders-worker",
)
if FULL:  # their deaths have quicker tests of their own in tests/outage and tests/cart
    VICTIMS += ("postgres-1", "postgres-2", "etcd", "redis-carts", "catalog-2", "gateway")
    VICTIMS += ("cart-background",)
# What no outage may look like.
WRONG = ("402", "409 insufficient-stock", "409 cart", "422", "400", "401", "404", "500")
PER_KEY_SECONDS = 45


@dataclass
class Shopper:
    """Buys in a loop until told to stop, and remembers every answer."""

    shop: Shop
    user: Account
    products: list[int]
    acknowledged: dict[str, dict[str, Any]] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)

    def run(self, stop: threading.Event) -> None:
        """Buy until `stop`; what was begun is ended first."""
        while not stop.is_set():
            lines = {p: random.randint(1, 2) for p in random.sample(self.products, 2)}
            cart = wait_until(lambda wanted=lines: self._fill_cart(wanted), PER_KEY_SECONDS)
            key = uuid.uuid4().hex
            wait_until(lambda c=cart, k=key: self._check_out(c, k), PER_KEY_SECONDS)

    def _fill_cart(self, lines: dict[int, int]) -> str | None:
        with suppress(httpx.HTTPError):
            opened = self.shop.http.post("/api/carts")
            if opened.status_code != 201:
                return None
            cart: str = opened.json()["id"]
            puts = [
                self.shop.http.put(f"/api/carts/{cart}/items/{product}", json={"quantity": units})
                for product, units in lines.items()
            ]
            return cart if all(put.status_code == 200 for put in puts) else None
        return None

    def _check_out(self, cart: str, key: str) -> bool:
        try:
            answer = self.shop.checkout(self.user, cart, key=key)
        except httpx.HTTPError as error:
            self.log.append(f"unknown ({type(error).__name__})")
            return False
        if answer.status_code == 201:
            self.acknowledged[cart] = answer.json()
            self.log.append("ok")
            return True
        assert not slug(answer).startswith(WRONG), answer.text
        self.log.append(f"unknown ({slug(answer)})")
        return False


def test_any_process_may_die_while_shoppers_buy(stack: Stack, shop: Shop) -> None:
    products = [shop.new_product(stock=START)["id"] for _ in range(4)]
    stop = threading.Event()
    back = {}
    with own_shops(stack, SHOPPERS, timeout=15) as shops:
        shoppers = [Shopper(each, shop.new_user(), products) for each in shops]
        failures: list[BaseException] = []
        threads = [threading.Thread(target=_run, args=(s, stop, failures)) for s in shoppers]
        for thread in threads:
            thread.start()
        try:
            for name in VICTIMS:
                _wait_for_purchases(shoppers, failures)
                back[name] = _kill_and_wait(stack, name)
            _wait_for_purchases(shoppers, failures)
        finally:
            stop.set()
            for thread in threads:
                thread.join(PER_KEY_SECONDS * 2)
    assert not failures, failures
    log = [entry for shopper in shoppers for entry in shopper.log]
    figure("any death", f"{len(VICTIMS)} processes killed: {counted(log)}")
    longest = max(back, key=lambda name: back[name])
    figure("any death", f"back within {back[longest]:.1f} s at most ({longest})")
    for shopper in shoppers:
        _nothing_lost_or_doubled(shop, shopper)
    _stock_adds_up(stack, shoppers, products)


def _run(shopper: Shopper, stop: threading.Event, failures: list[BaseException]) -> None:
    try:
        shopper.run(stop)
    except BaseException as error:
        failures.append(error)


def _wait_for_purchases(shoppers: list[Shopper], failures: list[BaseException]) -> None:
    """Until everybody has bought once more, so that each death hits a working shop."""
    before = [len(shopper.acknowledged) for shopper in shoppers]
    wait_until(
        lambda: (
            failures or all(len(s.acknowledged) > n for s, n in zip(shoppers, before, strict=True))
        ),
        PER_KEY_SECONDS,
    )
    assert not failures, failures


def _kill_and_wait(stack: Stack, name: str) -> float:
    old = kill(stack, name)
    seconds, _ = seconds_of(lambda: wait_back(stack, name, old))
    return seconds


def _nothing_lost_or_doubled(shop: Shop, shopper: Shopper) -> None:
    stack = shop.stack
    query = (
        "SELECT o.cart_id, o.id, o.status, o.total_cents, p.state, p.amount_cents, c.state,"
        " c.amount_cents FROM orders o LEFT JOIN payments p ON p.order_id = o.id"
        " LEFT JOIN simulated_charges c ON c.order_id = o.id WHERE o.user_id = %s"
    )
    unfinished = "SELECT 1 FROM orders WHERE user_id = %s AND step <> 'done'"
    wait_until(lambda: not rows(stack, "orders", unfinished, shopper.user.id), 20)
    sold = {}
    for cart, order_id, status, total, *money in rows(stack, "orders", query, shopper.user.id):
        if status == "failed":  # what an outage stopped, and the same key began anew
            assert "captured" not in money
            continue
        assert cart not in sold, f"cart {cart} was bought twice"
        assert status == "confirmed"
        assert money == ["captured", total] * 2
        sold[cart] = order_id
    assert sold == {cart: order["id"] for cart, order in shopper.acknowledged.items()}
    for cart, order in shopper.acknowledged.items():
        assert shop.order(shopper.user, order["id"]) == order
        wait_until(lambda c=cart: shop.http.get(f"/api/carts/{c}").json()["items"] == [])


def _stock_adds_up(stack: Stack, shoppers: list[Shopper], products: list[int]) -> None:
    """Held units become sold ones once the events have come through; none is left over."""
    units = dict.fromkeys(products, 0)
    for shopper in shoppers:
        for order in shopper.acknowledged.values():
            for item in order["items"]:
                units[item["product_id"]] += item["quantity"]
    wait_until(lambda: all(each.held == 0 for each in ledgers(stack, products).values()), 20)
    for product, ledger in ledgers(stack, products).items():
        assert ledger.balanced and ledger.sold == units[product]
        assert ledger.available == START - units[product]
