"""Purchases that do not go through, or not twice: what is answered, and that nothing is left."""

from __future__ import annotations

import uuid

from tests.contract.database import rows
from tests.contract.purchases import (
    BOUGHT,
    cart,
    orders_of,
    problem,
    the_order_of,
    timeline,
)
from tests.shop import ADDRESS, Account, Shop, wait_until


def test_a_declined_card_is_402_and_undone(shop: Shop, customer: Account) -> None:
    product = shop.new_product(stock=5)
    cart_id, key = shop.new_cart((product["id"], 2)), uuid.uuid4().hex

    first = shop.checkout(customer, cart_id, token="tok_declined", key=key)
    again = shop.checkout(customer, cart_id, token="tok_declined", key=key)

    for answer in (first, again):
        problem(answer, "payment-declined", "Payment declined", 402)
    order = the_order_of(shop, customer)
    assert order["status"] == "failed"
    assert timeline(shop, customer, order["id"]) == [
        *BOUGHT[:4],
        ("pay", "refused"),
        ("release", "started"),
        ("refund", "not needed"),
        ("release", "succeeded"),
        ("fail", "succeeded"),
    ]
    assert shop.stock(product["id"]) == 5
    assert cart(shop, cart_id) == {product["id"]: 2}
    paid = shop.checkout(customer, cart_id)
    assert (paid.status_code, shop.stock(product["id"])) == (201, 3)


def test_too_little_stock_is_409_naming_every_line(shop: Shop, customer: Account) -> None:
    short, fine, none = (shop.new_product(stock=5) for _ in range(3))
    cart_id = shop.new_cart((short["id"], 5), (fine["id"], 1), (none["id"], 2))
    for product, delta in ((short, -2), (none, -5)):
        shop.http.post(
            f"/api/products/{product['id']}/stock-adjustments",
            json={"delta": delta, "reason": "quebra"},
            headers=shop.operator.headers,
        )

    answer = shop.checkout(customer, cart_id)

    problem(
        answer,
        "insufficient-stock",
        "Not enough in stock",
        409,
        lines=[
            {"product_id": short["id"], "requested": 5, "available": 3},
            {"product_id": none["id"], "requested": 2, "available": 0},
        ],
    )
    order = the_order_of(shop, customer)
    assert order["status"] == "failed"
    assert timeline(shop, customer, order["id"]) == [
        *BOUGHT[:2],
        ("reserve", "refused"),
        ("fail", "succeeded"),
    ]
    assert [shop.stock(product["id"]) for product in (short, fine, none)] == [3, 5, 0]
    assert cart(shop, cart_id) == {short["id"]: 5, fine["id"]: 1, none["id"]: 2}


def test_a_provider_that_fails_is_502_after_retries_and_undone(
    shop: Shop, customer: Account
) -> None:
    product = shop.new_product(stock=5)
    cart_id, key = shop.new_cart((product["id"], 2)), uuid.uuid4().hex

    first = shop.checkout(customer, cart_id, token="tok_error", key=key)
    again = shop.checkout(customer, cart_id, token="tok_error", key=key)

    for answer in (first, again):
        problem(answer, "payment-error", "Payment provider error", 502)
    order = the_order_of(shop, customer)
    assert order["status"] == "failed"
    assert timeline(shop, customer, order["id"]) == [
        *BOUGHT[:4],
        ("pay", "failed"),
        ("pay", "failed"),
        ("pay", "failed"),
        ("release", "started"),
        ("refund", "not needed"),
        ("release", "succeeded"),
        ("fail", "succeeded"),
    ]
    assert shop.stock(product["id"]) == 5
    assert cart(shop, cart_id) == {product["id"]: 2}


def test_a_silent_provider_is_503_and_the_sweep_ends_the_order(
    shop: Shop, customer: Account
) -> None:
    product = shop.new_product(stock=5)
    cart_id = shop.new_cart((product["id"], 2))

    answer = shop.checkout(customer, cart_id, token="tok_timeout")

    order = the_order_of(shop, customer)
    title = "The checkout could not be finished now"
    problem(answer, "checkout-unfinished", title, 503, order_id=order["id"])
    assert int(answer.headers["retry-after"]) >= 1
    assert (order["status"], shop.stock(product["id"])) == ("pending", 3)
    other = shop.checkout(customer, cart_id)
    problem(other, "cart-already-ordered", "This cart was ordered already", 409)

    wait_until(lambda: shop.order(customer, order["id"])["status"] == "failed")

    wait_until(lambda: shop.stock(product["id"]) == 5)
    steps = timeline(shop, customer, order["id"])
    assert steps[:4] == BOUGHT[:4]
    assert steps.count(("pay", "unknown")) == 3
    assert steps[-1] == ("fail", "succeeded")
    assert cart(shop, cart_id) == {product["id"]: 2}
    charged = "SELECT state FROM simulated_charges WHERE order_id = %(id)s"
    assert rows(shop, "orders", charged, id=order["id"]) == [("cancelled",)]
    assert shop.checkout(customer, cart_id).status_code == 201


def test_a_cart_as_it_stands_is_bought_once(shop: Shop, customer: Account) -> None:
    product = shop.new_product(stock=5)
    cart_id = shop.new_cart((product["id"], 1))
    assert shop.checkout(customer, cart_id).status_code == 201

    again = shop.checkout(customer, cart_id)

    assert again.status_code == 409
    assert again.json()["type"] in ("/problems/cart-already-ordered", "/problems/cart-empty")
    assert shop.stock(product["id"]) == 4
    wait_until(lambda: cart(shop, cart_id) == {})
    shop.http.post(f"/api/carts/{cart_id}/items", json={"product_id": product["id"], "quantity": 2})
    assert shop.checkout(customer, cart_id).json()["total_cents"] == 2000
    assert shop.stock(product["id"]) == 2


def test_there_must_be_something_to_buy(shop: Shop, customer: Account) -> None:
    problem(shop.checkout(customer, shop.new_cart()), "cart-empty", "The cart is empty", 409)
    problem(shop.checkout(customer, "A" * 24), "cart-not-found", "No such cart", 404)
    assert orders_of(shop, customer) == {"items": [], "next_cursor": None}


def test_the_same_key_is_the_same_purchase(shop: Shop, customer: Account) -> None:
    product = shop.new_product(stock=5)
    cart_id, key = shop.new_cart((product["id"], 1)), uuid.uuid4().hex
    first = shop.checkout(customer, cart_id, key=key, shipping_address=ADDRESS)
    body = {"shipping_address": ADDRESS, "cart_id": cart_id}

    again = shop.checkout(
        customer, cart_id, key=key, shipping_address=dict(reversed(ADDRESS.items()))
    )
    changed = shop.checkout(customer, cart_id, key=key)
    without = shop.http.post(
        "/api/orders",
        json={**body, "payment": {"method": "card", "token": "tok_ok"}},
        headers=customer.headers,
    )

    assert (again.status_code, again.content) == (201, first.content)
    assert again.headers["location"] == first.headers["location"]
    title = "The key was used for another request"
    problem(changed, "idempotency-key-reused", title, 422)
    problem(without, "idempotency-key-missing", "Idempotency-Key is required", 400)
    assert the_order_of(shop, customer) == first.json()
    assert shop.stock(product["id"]) == 4


def test_a_key_belongs_to_its_user(shop: Shop, customer: Account) -> None:
    product, other, key = shop.new_product(stock=5), shop.new_user(), uuid.uuid4().hex
    first = shop.checkout(customer, shop.new_cart((product["id"], 1)), key=key)

    theirs = shop.checkout(other, shop.new_cart((product["id"], 3)), key=key)

    assert (theirs.status_code, theirs.json()["items"][0]["quantity"]) == (201, 3)
    assert theirs.json()["id"] != first.json()["id"]
