"""The contract of orders: buying, reading, cancelling, moving on.

Refusals are in tests/contract/test_checkout_refusals.py.
"""

from __future__ import annotations

import re
import uuid

import pytest

from tests.contract.database import rows
from tests.contract.purchases import (
    BOUGHT,
    TIME,
    ULID,
    cancel,
    cart,
    move,
    orders_of,
    problem,
    the_order_of,
    timeline,
)
from tests.shop import ADDRESS, Account, Shop, wait_until


def test_a_purchase_from_cart_to_order(shop: Shop, customer: Account) -> None:
    cake = shop.new_product(name="Bolo", stock=10, price_cents=4590)
    sweet = shop.new_product(name="Doce", stock=500, price_cents=350)
    cart_id = shop.new_cart((sweet["id"], 100), (cake["id"], 2))

    answer = shop.checkout(customer, cart_id, shipping_address=ADDRESS)

    order = answer.json()
    assert answer.status_code == 201
    assert re.fullmatch(ULID, order["id"])
    assert re.fullmatch(TIME, order["created_at"])
    assert list(order.items()) == [
        ("id", order["id"]),
        ("status", "confirmed"),
        (
            "items",
            [
                {
                    "product_id": cake["id"],
                    "name": "Bolo",
                    "quantity": 2,
                    "unit_price_cents": 4590,
                },
                {
                    "product_id": sweet["id"],
                    "name": "Doce",
                    "quantity": 100,
                    "unit_price_cents": 350,
                },
            ],
        ),
        ("total_cents", 2 * 4590 + 100 * 350),
        ("currency", "BRL"),
        ("created_at", order["created_at"]),
        ("version", order["version"]),
        ("shipping_address", ADDRESS),
    ]
    assert answer.headers["location"] == f"/api/orders/{order['id']}"
    assert answer.headers["cache-control"] == "no-store"
    assert shop.order(customer, order["id"]) == order
    assert the_order_of(shop, customer) == order
    assert timeline(shop, customer, order["id"]) == BOUGHT
    assert (shop.stock(cake["id"]), shop.stock(sweet["id"])) == (8, 400)
    wait_until(lambda: cart(shop, cart_id) == {})


def test_its_token_shows_the_stock_after_the_purchase_at_once(shop: Shop) -> None:
    product, buyer = shop.new_product(stock=100), shop.new_user()
    for left in range(99, 79, -1):
        answer = shop.checkout(buyer, shop.new_cart((product["id"], 1)))
        token = answer.headers["x-consistency-token"]
        assert re.fullmatch(r"catalog:[0-9A-F]+/[0-9A-F]+,orders:[0-9A-F]+/[0-9A-F]+", token)
        path, headers = f"/api/products/{product['id']}", {"X-Consistency-Token": token}
        assert shop.http.get(path, headers=headers).json()["stock"] == left


def test_an_address_need_not_be_given(shop: Shop, customer: Account) -> None:
    order = shop.buy(customer, (shop.new_product()["id"], 1))
    assert order["shipping_address"] is None


def test_orders_are_listed_newest_first_in_pages_that_stay(shop: Shop, customer: Account) -> None:
    product = shop.new_product(stock=100)["id"]
    made = [shop.buy(customer, (product, 1))["id"] for _ in range(7)]
    shown, cursor = [], {}
    while True:
        page = orders_of(shop, customer, limit=3, **cursor)
        shown += [order["id"] for order in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
        shop.buy(customer, (product, 1))
    assert shown == made[::-1]


def test_orders_are_filtered_by_status(shop: Shop, customer: Account) -> None:
    product = shop.new_product(stock=100)["id"]
    kept, cancelled, moved = (shop.buy(customer, (product, 1))["id"] for _ in range(3))
    cancel(shop, customer, cancelled)
    move(shop, moved, "preparing")
    shop.checkout(customer, shop.new_cart((product, 1)), token="tok_declined")

    def ids(status: str) -> list[str]:
        return [order["id"] for order in orders_of(shop, customer, status=status)["items"]]

    assert (ids("confirmed"), ids("cancelled"), ids("preparing")) == ([kept], [cancelled], [moved])
    assert len(ids("failed")) == 1
    assert ids("delivered") == []
    answer = shop.http.get("/api/orders?status=lost", headers=customer.headers)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "status")


def test_an_operator_sees_the_orders_of_all(shop: Shop, customer: Account) -> None:
    order = shop.buy(customer, (shop.new_product()["id"], 1))
    assert orders_of(shop, shop.operator, limit=100)["items"][0] == order


def test_an_order_is_cancelled_once(shop: Shop, customer: Account) -> None:
    product = shop.new_product(stock=5)
    order = shop.buy(customer, (product["id"], 2))

    first = cancel(shop, customer, order["id"])
    second = cancel(shop, customer, order["id"])

    assert first.status_code == 200
    assert first.headers["cache-control"] == "no-store"
    expected = order | {"status": "cancelled", "version": first.json()["version"]}
    assert first.json() == second.json() == shop.order(customer, order["id"]) == expected
    assert timeline(shop, customer, order["id"]) == [
        *BOUGHT,
        ("cancel", "succeeded"),
        ("refund", "started"),
        ("refund", "succeeded"),
        ("release", "succeeded"),
    ]
    assert shop.stock(product["id"]) == 5
    payment = "SELECT amount_cents, state FROM payments WHERE order_id = %(id)s"
    assert rows(shop, "orders", payment, id=order["id"]) == [(2000, "refunded")]
    returned = "SELECT delta, kind FROM stock_movements WHERE reference = %(id)s ORDER BY id"
    assert rows(shop, "catalog", returned, id=order["id"]) in (
        [(-2, "reserve"), (2, "return")],
        [(-2, "reserve"), (2, "release")],  # cancelled before the sale was recorded
    )
    problem(
        move(shop, order["id"], "preparing"),
        "status-conflict",
        "The order's status does not allow this",
        409,
    )


def test_an_order_moves_on_one_status_at_a_time(shop: Shop, customer: Account) -> None:
    order = shop.buy(customer, (shop.new_product()["id"], 1))
    title = "The order's status does not allow this"
    steps = ["preparing", "shipped", "delivered"]
    for n, status in enumerate(steps):
        for wrong in steps[:n] + steps[n + 1 :]:
            problem(move(shop, order["id"], wrong), "status-conflict", title, 409)
        answer = move(shop, order["id"], status)
        expected = order | {"status": status, "version": order["version"] + n + 1}
        assert (answer.status_code, answer.json()) == (200, expected)
        assert answer.headers["cache-control"] == "no-store"
        assert shop.order(customer, order["id"]) == expected
        problem(cancel(shop, customer, order["id"]), "status-conflict", title, 409)
    moved = [(status, "succeeded") for status in steps]
    assert timeline(shop, customer, order["id"]) == [*BOUGHT, *moved]


def test_a_key_whose_order_was_cancelled_unfinished_bought_nothing(
    shop: Shop, customer: Account
) -> None:
    product, key = shop.new_product(stock=5)["id"], uuid.uuid4().hex
    cart = shop.new_cart((product, 2))
    unfinished = shop.checkout(customer, cart, token="tok_timeout", key=key)
    assert unfinished.status_code == 503, unfinished.text
    order_id = unfinished.json()["order_id"]
    # The recovery may be at work on it at this very moment; then the cancellation has to wait.
    cancelled = wait_until(lambda: [a for a in [cancel(shop, customer, order_id)] if a.is_success])

    again = shop.checkout(customer, cart, token="tok_timeout", key=key)

    assert cancelled[0].json()["status"] == "cancelled"
    assert (again.status_code, again.json()["type"]) == (409, "/problems/status-conflict")
    assert shop.stock(product) == 5


@pytest.mark.parametrize(
    ("method", "path"),
    [("POST", "/api/carts"), ("GET", "/api/products/1"), ("GET", "/.well-known/jwks.json")],
)
def test_an_unknown_query_parameter_is_refused_where_none_is_known(
    shop: Shop, method: str, path: str
) -> None:
    answer = shop.http.request(method, path, params={"colour": "red"})
    assert (answer.status_code, answer.json()["errors"]) == (
        422,
        [{"field": "colour", "message": "is not known here"}],
    )


def test_a_failed_order_is_not_cancelled(shop: Shop, customer: Account) -> None:
    shop.checkout(customer, shop.new_cart((shop.new_product()["id"], 1)), token="tok_declined")
    answer = cancel(shop, customer, the_order_of(shop, customer)["id"])
    problem(answer, "status-conflict", "The order's status does not allow this", 409)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/orders"),
        ("GET", "/api/orders/{order}"),
        ("GET", "/api/orders/{order}/timeline"),
        ("GET", "/api/orders/unknown"),
        ("GET", "/auth/me"),
        ("POST", "/auth/refresh"),
        ("GET", "/api/carts/{cart}"),
        ("GET", "/api/carts/unknown"),
        ("POST", "/api/carts"),
    ],
)
def test_private_answers_are_kept_by_no_cache_and_carry_the_request_id(
    shop: Shop, customer: Account, method: str, path: str
) -> None:
    order = shop.buy(customer, (shop.new_product()["id"], 1))
    request_id = uuid.uuid4().hex
    answer = shop.http.request(
        method,
        path.format(order=order["id"], cart=shop.new_cart()),
        headers={**customer.headers, "X-Request-Id": request_id},
    )
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"] == request_id
