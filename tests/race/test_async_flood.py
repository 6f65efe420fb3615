"""A burst of asynchronous orders: all are taken, the backlog shows, and each is done once."""

from __future__ import annotations

import time
import uuid
from functools import partial

import httpx
import pytest

from local.stack import Stack
from tests.async_orders.rig import charged, take, wait_all_ended
from tests.race.rig import FULL, figure, ledgers, own_shops, rows, seconds_of, together
from tests.shop import Account, Shop, wait_until

BURST = 10_000 if FULL else 60
SYNCHRONOUS = 300 if FULL else 12
SENDERS = 8
# How many times faster a burst is taken than shoppers are served who wait; of the full run only,
# because a ratio of two short runs on a busy machine says nothing.
TAKEN_FASTER = 3.0


@pytest.mark.timeout(3600 if FULL else 240)
def test_a_burst_is_taken_at_once_and_done_without_loss_or_duplicate(
    stack: Stack, shop: Shop
) -> None:
    user = shop.new_user()
    product = shop.new_product(stock=BURST + SYNCHRONOUS + 10)["id"]
    with own_shops(stack, SENDERS, timeout=120) as shops:
        waited_for = _carts(shops, product, SYNCHRONOUS)
        carts = _carts(shops, product, BURST)
        slow, bought = seconds_of(lambda: _send(shops, user, waited_for, "wait=30"))
        quick, answers = seconds_of(lambda: _send(shops, user, carts, "respond-async"))
        backlog = shop.http.get("/status").json()["orders"]["asynchronous"]
    assert {a.status_code for a in bought} == {201}
    assert {a.status_code for a in answers} == {202}
    ids = [a.json()["id"] for a in answers]
    drained, statuses = seconds_of(lambda: wait_all_ended(stack, user, 3000 if FULL else 200))

    rate, ratio = BURST / quick, (BURST / quick) / (SYNCHRONOUS / slow)
    figure(
        "flood",
        f"{BURST} taken at {rate:.0f}/s, {ratio:.1f} x the {SYNCHRONOUS / slow:.0f}/s of those who"
        f" wait; backlog then {backlog}; drained {drained:.0f} s later ({statuses})",
    )
    total = BURST + SYNCHRONOUS
    assert statuses == {"confirmed": total}
    assert len(set(ids)) == BURST
    assert charged(stack, user) == {"payments": total, "simulated_charges": total}
    once = "SELECT count(*) FROM saga_log WHERE step = 'confirm' AND order_id = ANY (%s)"
    assert rows(stack, "orders", once, ids) == [(BURST,)]
    wait_until(lambda: ledgers(stack, [product])[product].sold == total, 120)
    ledger = ledgers(stack, [product])[product]
    assert ledger.balanced and ledger.held == 0 and ledger.available == 10
    after = wait_until(lambda: _empty(shop), 30)
    assert after == {"waiting": 0, "oldest": None, "queue_length": 0}
    if FULL:
        assert ratio >= TAKEN_FASTER


def _carts(shops: list[Shop], product: int, count: int) -> list[str]:
    made = together(
        [
            partial(_fill, each, product, len(range(n, count, SENDERS)))
            for n, each in enumerate(shops)
        ],
        seconds=1200,
    )
    return [cart for batch in made for cart in batch]


def _fill(shop: Shop, product: int, count: int) -> list[str]:
    return [shop.new_cart((product, 1)) for _ in range(count)]


def _send(shops: list[Shop], user: Account, carts: list[str], prefer: str) -> list[httpx.Response]:
    sent = together(
        [partial(_take_all, each, user, carts[n::SENDERS], prefer) for n, each in enumerate(shops)],
        seconds=1200,
    )
    return [answer for batch in sent for answer in batch]


def _take_all(shop: Shop, user: Account, carts: list[str], prefer: str) -> list[httpx.Response]:
    return [take(shop, user, cart, key=uuid.uuid4().hex, prefer=prefer) for cart in carts]


def _empty(shop: Shop) -> dict[str, object] | None:
    time.sleep(0.1)
    found: dict[str, object] = shop.http.get("/status").json()["orders"]["asynchronous"]
    return found if found["queue_length"] == 0 and found["waiting"] == 0 else None
