"""`Prefer: respond-async`: the answer comes at once, the order follows. Promise 12."""

from __future__ import annotations

import re
import time
import uuid
from functools import partial

import pytest

from local.stack import Stack
from tests.async_orders.rig import (
    TAKEN_AND_BOUGHT,
    charged,
    ended,
    in_full,
    take,
    taken,
    wait_all_ended,
)
from tests.contract.purchases import TIME, ULID, cancel, cart, orders_of, problem, timeline
from tests.race.rig import FULL, counted, figure, frozen, own_shops, together
from tests.shop import ADDRESS, Account, Shop, wait_until

CALLS = 100 if FULL else 5
ROUNDS = 20 if FULL else 1
ENDS_WITHIN_SECONDS = 10


def test_an_order_is_taken_at_once_and_checked_out_by_a_worker(
    stack: Stack, shop: Shop, customer: Account
) -> None:
    product = shop.new_product(name="Bolo", stock=5, price_cents=4590)["id"]
    cart_id = shop.new_cart((product, 2))

    answer = take(shop, customer, cart_id, shipping_address=ADDRESS)

    order = answer.json()
    assert answer.status_code == 202
    assert answer.headers["preference-applied"] == "respond-async"
    assert answer.headers["location"] == f"/api/orders/{order['id']}"
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-consistency-token"].startswith("orders:")
    assert re.fullmatch(ULID, order["id"]) and re.fullmatch(TIME, order["created_at"])
    assert order == {
        "id": order["id"],
        "status": "pending",
        "items": [],
        "total_cents": 0,
        "currency": "BRL",
        "created_at": order["created_at"],
        "version": 1,
        "shipping_address": ADDRESS,
    }
    item = {"product_id": product, "name": "Bolo", "quantity": 2, "unit_price_cents": 4590}
    bought = ended(shop, customer, order["id"])
    assert bought == {
        **order,
        "status": "confirmed",
        "items": [item],
        "total_cents": 9180,
        "version": bought["version"],
    }
    assert timeline(shop, customer, order["id"]) == TAKEN_AND_BOUGHT
    assert shop.stock(product) == 3
    assert charged(stack, customer) == {"payments": 1, "simulated_charges": 1}
    wait_until(lambda: cart(shop, cart_id) == {})


@pytest.mark.promise(12, minutes=0.5)
def test_every_call_is_answered_202_and_ends_in_time(stack: Stack, shop: Shop) -> None:
    user = shop.new_user()
    product = shop.new_product(stock=CALLS)["id"]
    carts = [shop.new_cart((product, 1)) for _ in range(CALLS)]
    with own_shops(stack, 4) as shops:
        began = time.monotonic()
        answers = together(
            [
                lambda s=each, n=n: [take(s, user, c) for c in carts[n::4]]  # type: ignore[misc]
                for n, each in enumerate(shops)
            ]
        )
        statuses = wait_all_ended(stack, user, ENDS_WITHIN_SECONDS)
        seconds = time.monotonic() - began
    flat = [answer for batch in answers for answer in batch]
    figure("promise 12", f"{counted(a.status_code for a in flat)}; {statuses} in {seconds:.1f} s")
    assert {a.status_code for a in flat} == {202}
    assert all("location" in a.headers and "preference-applied" in a.headers for a in flat)
    assert statuses == {"confirmed": CALLS}
    assert shop.stock(product) == 0


def test_the_same_key_gets_the_same_answer_whatever_becomes_of_the_order(
    stack: Stack, shop: Shop, customer: Account
) -> None:
    product = shop.new_product(stock=5)["id"]
    cart_id, key = shop.new_cart((product, 1)), uuid.uuid4().hex

    first = take(shop, customer, cart_id, key=key)
    at_once = take(shop, customer, cart_id, key=key)
    ended(shop, customer, first.json()["id"])
    later = take(shop, customer, cart_id, key=key)
    synchronous = shop.checkout(customer, cart_id, key=key)

    for again in (at_once, later, synchronous):
        assert (again.status_code, again.content) == (202, first.content)
        assert again.headers["location"] == first.headers["location"]
    assert later.headers["preference-applied"] == "respond-async"
    assert "preference-applied" not in synchronous.headers
    assert len(orders_of(shop, customer)["items"]) == 1
    assert shop.stock(product) == 4


def test_a_synchronous_purchase_is_not_repeated_by_an_asynchronous_retry(
    shop: Shop, customer: Account
) -> None:
    product = shop.new_product(stock=5)["id"]
    cart_id, key = shop.new_cart((product, 1)), uuid.uuid4().hex
    first = shop.checkout(customer, cart_id, key=key)

    again = take(shop, customer, cart_id, key=key)

    assert (again.status_code, again.content) == (201, first.content)
    assert "preference-applied" not in again.headers
    assert shop.stock(product) == 4


def test_one_key_at_once_in_both_ways_makes_one_order(stack: Stack, shop: Shop) -> None:
    user = shop.new_user()
    product = shop.new_product(stock=ROUNDS + 7)["id"]
    with own_shops(stack, 8) as shops:
        for _ in range(ROUNDS):
            cart_id, key = shop.new_cart((product, 1)), uuid.uuid4().hex
            ways = [take, Shop.checkout] * 4
            answers = together(
                [
                    partial(way, each, user, cart_id, key=key)
                    for way, each in zip(ways, shops, strict=True)
                ]
            )
            assert {a.status_code for a in answers} <= {201, 202, 409}
            assert len({a.content for a in answers if a.is_success}) == 1
    assert wait_all_ended(stack, user, 45) == {"confirmed": ROUNDS}
    assert shop.stock(product) == 7


def test_another_body_for_the_key_is_refused(shop: Shop, customer: Account) -> None:
    key = uuid.uuid4().hex
    assert take(shop, customer, "A" * 24, key=key).status_code == 202
    other = take(shop, customer, "B" * 24, key=key)
    problem(other, "idempotency-key-reused", "The key was used for another request", 422)


@pytest.mark.parametrize(
    ("token", "status", "slug"),
    [
        ("tok_declined", 402, "payment-declined"),
        ("tok_error", 502, "payment-error"),
        pytest.param("tok_timeout", 503, "checkout-unfinished", marks=in_full),
    ],
)
def test_a_payment_that_fails_ends_the_order_with_everything_given_back(
    stack: Stack, shop: Shop, token: str, status: int, slug: str
) -> None:
    user = shop.new_user()
    product = shop.new_product(stock=3)["id"]
    order_id = taken(shop, user, (product, 2), token=token)

    order = ended(shop, user, order_id)

    assert order["status"] == "failed"
    assert (order["failure"]["status"], order["failure"]["type"]) == (status, f"/problems/{slug}")
    seen = timeline(shop, user, order_id)
    if token == "tok_timeout":
        assert seen.count(("pay", "unknown")) == 3
    assert seen[-3:] == [("refund", "not needed"), ("release", "succeeded"), ("fail", "succeeded")]
    assert shop.stock(product) == 3
    assert charged(stack, user) == {"payments": 0, "simulated_charges": 0}


def test_what_cannot_be_bought_ends_the_order_with_the_reason(
    shop: Shop, customer: Account
) -> None:
    product = shop.new_product(stock=1)["id"]
    bought = shop.new_cart((product, 1))
    short = shop.new_cart((product, 1))
    reasons = {}
    for name, cart_id, extra in (
        ("bought", bought, {}),
        ("short", short, {}),
        ("empty", shop.new_cart(), {}),
        ("unknown", "A" * 24, {}),
    ):
        order_id = take(shop, customer, cart_id, **extra).json()["id"]
        reasons[name] = ended(shop, customer, order_id).get("failure")

    assert reasons["bought"] is None
    assert reasons["short"]["type"] == "/problems/insufficient-stock"
    assert reasons["short"]["lines"] == [{"product_id": product, "requested": 1, "available": 0}]
    assert reasons["empty"]["type"] == "/problems/cart-empty"
    assert reasons["unknown"] == {
        "type": "/problems/cart-not-found",
        "title": "No such cart",
        "status": 404,
        "detail": f"There is no cart {'A' * 24}.",
    }


def test_a_cart_that_changed_since_it_was_shown_is_not_bought(
    shop: Shop, customer: Account
) -> None:
    product = shop.new_product(stock=5)["id"]
    cart_id = shop.new_cart((product, 1))
    shown = shop.http.get(f"/api/carts/{cart_id}").json()["version"]
    shop.http.put(f"/api/carts/{cart_id}/items/{product}", json={"quantity": 4})

    synchronous = shop.checkout(customer, cart_id, cart_version=shown)
    order_id = take(shop, customer, cart_id, cart_version=shown).json()["id"]

    problem(synchronous, "cart-changed", "The cart is not what it was", 409)
    assert ended(shop, customer, order_id)["failure"]["type"] == "/problems/cart-changed"
    answer = shop.checkout(customer, cart_id, cart_version=shown + 1)
    assert answer.status_code == 201
    assert shop.stock(product) == 1


def test_the_version_of_a_cart_is_taken_once(stack: Stack, shop: Shop, customer: Account) -> None:
    product = shop.new_product(stock=5)["id"]
    cart_id = shop.new_cart((product, 1))
    shown = shop.http.get(f"/api/carts/{cart_id}").json()["version"]

    with frozen(stack, "orders-worker"):
        first = take(shop, customer, cart_id, cart_version=shown)
        second = take(shop, customer, cart_id, cart_version=shown)
        unpinned = take(shop, customer, cart_id)

    assert (first.status_code, unpinned.status_code) == (202, 202)
    problem(second, "cart-already-ordered", "This cart was ordered already", 409)
    assert ended(shop, customer, first.json()["id"])["status"] == "confirmed"
    late = ended(shop, customer, unpinned.json()["id"])
    assert late["failure"]["type"] in ("/problems/cart-already-ordered", "/problems/cart-empty")
    assert shop.stock(product) == 4


def test_an_order_that_waits_can_be_cancelled(stack: Stack, shop: Shop, customer: Account) -> None:
    product = shop.new_product(stock=5)["id"]
    key, cart_id = uuid.uuid4().hex, shop.new_cart((product, 1))
    with frozen(stack, "orders-worker"):
        first = take(shop, customer, cart_id, key=key)
        waiting = shop.http.get("/status").json()["orders"]["asynchronous"]
        assert cancel(shop, customer, first.json()["id"]).json()["status"] == "cancelled"

    assert waiting["waiting"] >= 1 and waiting["oldest"] <= first.json()["created_at"]
    assert shop.stock(product) == 5
    again = take(shop, customer, cart_id, key=key)
    assert (again.status_code, again.content) == (202, first.content)
    # Its task comes in vain, and the cart can be bought.
    assert ended(shop, customer, taken(shop, customer, (product, 1)))["status"] == "confirmed"
    assert shop.order(customer, first.json()["id"])["status"] == "cancelled"


@pytest.mark.parametrize(
    ("prefer", "status"),
    [
        ("respond-async", 202),
        ("Respond-Async", 202),
        ("return=minimal, respond-async; x=1, wait=5", 202),
        ('foo="respond-async"', 201),
        ("respond-asynchronously", 201),
        ("wait=5", 201),
    ],
)
def test_the_preference_is_read_as_rfc_7240_has_it(
    shop: Shop, customer: Account, prefer: str, status: int
) -> None:
    product = shop.new_product(stock=1)["id"]
    answer = take(shop, customer, shop.new_cart((product, 1)), prefer=prefer)
    assert answer.status_code == status
    assert ("preference-applied" in answer.headers) == (status == 202)
    assert ended(shop, customer, answer.json()["id"])["status"] == "confirmed"
