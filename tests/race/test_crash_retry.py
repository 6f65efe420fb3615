"""Promise 10: orders dies at any moment of a purchase; the same key then ends it, once."""

from __future__ import annotations

import random
import threading
import uuid
from dataclasses import dataclass, field

import httpx
import pytest

from local.stack import Stack
from tests.figures import figure, reached
from tests.race.rig import (
    FULL,
    counted,
    kill,
    kill_worker,
    ledgers,
    own_shops,
    rows,
    slug,
    together,
    wait_back,
    wait_ready,
)
from tests.shop import Account, Shop, wait_until

KILLS = 100 if FULL else 3
# What the shoppers of one kill pay with; the slow and the failing ones are killed in other steps.
TOKENS = ["tok_ok"] * 5 + ["tok_timeout", "tok_error", "tok_declined"]
FINAL = {"tok_ok": 201, "tok_error": 502, "tok_declined": 402}


@dataclass
class Purchase:
    """One key, and what its sender was told."""

    cart: str
    token: str
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    told: list[str] = field(default_factory=list)
    last: httpx.Response | None = None

    def send(self, shop: Shop, user: Account) -> bool:
        """Try; whether the answer is the key's last word."""
        try:
            answer = shop.checkout(user, self.cart, token=self.token, key=self.key)
        except httpx.HTTPError:
            self.told.append("no answer")
            return False
        if answer.status_code == 201 and self.last is not None:
            assert answer.content == self.last.content
        self.told.append(slug(answer))
        if answer.status_code == 201:
            self.last = answer
        return answer.status_code == FINAL.get(self.token)


@pytest.mark.promise(10, minutes=5)
def test_orders_killed_during_checkouts(stack: Stack, shop: Shop, customer: Account) -> None:
    start = KILLS * len(TOKENS) + 10
    product = shop.new_product(stock=start)["id"]
    bought: list[Purchase] = []
    lost_answers = 0
    with own_shops(stack, len(TOKENS), timeout=20) as shops:
        for number in range(KILLS):
            now = [Purchase(shop.new_cart((product, 1)), token) for token in TOKENS]
            lost_answers += _kill_while_buying(stack, shops, customer, now, master=number == 1)
            bought += now
            reached(number / KILLS)
        _end_all(stack, shops, customer, bought)

    kept = _orders(stack, customer)
    orders = [order for found in kept.values() for order in found]
    confirmed = [order_id for order_id, status in orders if status == "confirmed"]
    figure(
        "promise 10",
        f"{KILLS} kills during {len(bought)} checkouts, {lost_answers} after the commit and before "
        f"the answer: {len(confirmed)} orders for {KILLS * TOKENS.count('tok_ok')} keys; "
        f"told at first: {counted(p.told[0] for p in bought)}",
    )
    for purchase in bought:
        made = kept.get(purchase.cart, [])
        if purchase.token == "tok_ok":
            assert purchase.last is not None
            assert made == [(purchase.last.json()["id"], "confirmed")], purchase.told
        elif purchase.token in FINAL or made:
            assert [status for _, status in made] == ["failed"], purchase.told
        else:  # Orders died before it was opened, and nobody asked again.
            assert purchase.told[0].startswith(("no answer", "50")), purchase.told
    assert _captured(stack, customer) == sorted(confirmed)
    wait_until(lambda: ledgers(stack, [product])[product].held == 0)
    after = ledgers(stack, [product])[product]
    assert after.balanced and after.sold == len(confirmed)


def _kill_while_buying(
    stack: Stack, shops: list[Shop], user: Account, now: list[Purchase], *, master: bool
) -> int:
    """Send all at once, kill orders in the middle; how many were decided but not answered."""
    pause = threading.Event()
    killed: list[int] = []

    def strike() -> bool:
        begun = "SELECT 1 FROM orders WHERE cart_id = ANY (%s) AND step = 'pay' LIMIT 1"
        wait_until(lambda: rows(stack, "orders", begun, [p.cart for p in now]))
        pause.wait(random.random() * 0.06)  # any moment from here on
        killed.append(kill(stack, "orders") if master else kill_worker(stack, "orders"))
        return True

    together([*(lambda s=s, p=p: p.send(s, user) for s, p in zip(shops, now, strict=True)), strike])
    decided = "SELECT status FROM idempotency_keys WHERE key = ANY (%s) AND status = 201"
    silent = [p.key for p in now if p.told[0].startswith(("no answer", "50"))]
    lost = len(rows(stack, "orders", decided, silent))
    if master:
        wait_back(stack, "orders", killed[0])
    wait_ready(stack, stack.services.url("orders"))
    return lost


def _end_all(stack: Stack, shops: list[Shop], user: Account, bought: list[Purchase]) -> None:
    """Retry every key until its last word; an order whose payment is silent ends by itself."""

    def end(shop: Shop, mine: list[Purchase]) -> None:
        for purchase in mine:
            if purchase.token != "tok_timeout":
                wait_until(lambda p=purchase: p.send(shop, user), 30)

    together([lambda n=n, s=s: end(s, bought[n :: len(shops)]) for n, s in enumerate(shops)])
    unfinished = "SELECT 1 FROM orders WHERE user_id = %s AND step <> 'done'"
    wait_until(lambda: not rows(stack, "orders", unfinished, user.id), 60)


def _orders(stack: Stack, user: Account) -> dict[str, list[tuple[str, str]]]:
    """The orders of each cart."""
    found: dict[str, list[tuple[str, str]]] = {}
    query = "SELECT cart_id, id, status FROM orders WHERE user_id = %s ORDER BY id"
    for cart, order_id, status in rows(stack, "orders", query, user.id):
        found.setdefault(cart, []).append((order_id, status))
    return found


def _captured(stack: Stack, user: Account) -> list[str]:
    """The orders whose money was taken and kept: ours and the provider's books agree."""
    query = (
        "SELECT order_id FROM {} JOIN orders ON id = order_id"
        " WHERE user_id = %s AND state = 'captured'"
    )
    ours, theirs = (
        sorted(row[0] for row in rows(stack, "orders", query.format(table), user.id))
        for table in ("payments", "simulated_charges")
    )
    assert ours == theirs
    return ours
