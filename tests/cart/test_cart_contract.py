"""What a shopper's program may rely on: bodies, status codes, limits, prices of the server."""

from __future__ import annotations

import time
from urllib.parse import unquote

import pytest

from tests.cart.rig import (
    EXPIRY,
    NO_SUCH_CART,
    TTL_MILLISECONDS,
    MakeShop,
    Shop,
    cart_document,
    item_document,
    problem,
)
from tests.shop import wait_until

GONE = ("cart-not-found", "No such cart", "There is no such cart, or it has expired.")


def test_a_new_cart_is_empty_and_kept_a_day(shop: Shop) -> None:
    answer = shop.client.post("/api/carts")

    cart = answer.json["id"]
    assert answer.status_code == 201
    assert answer.json == {
        "id": cart,
        "items": [],
        "total_cents": 0,
        "currency": "BRL",
        "expires_at": EXPIRY,
        "version": 1,
    }
    assert answer.headers["Location"] == f"/api/carts/{cart}"
    assert answer.headers["Cache-Control"] == "no-store"
    assert len(cart) == 24
    assert TTL_MILLISECONDS - 5000 < shop.redis.client.pttl(f"cart:{cart}") <= TTL_MILLISECONDS


def test_adding_answers_the_whole_cart_with_the_catalogs_prices(shop: Shop) -> None:
    cart = shop.open()
    shop.add(cart, 2, 3)

    answer = shop.add(cart, 1, 2)

    expected = cart_document(
        cart,
        3,
        item_document(2, "Brigadeiro", 3, 350),
        item_document(1, "Bolo de cenoura", 2, 4590),
    )
    assert (answer.status_code, answer.json) == (200, expected)
    assert answer.json["total_cents"] == 3 * 350 + 2 * 4590
    assert answer.headers["Cache-Control"] == "no-store"
    assert shop.read(cart) == expected


def test_adding_a_product_again_adds_up(shop: Shop) -> None:
    cart = shop.open()
    shop.add(cart, 1, 2)

    answer = shop.add(cart, 1, 3)

    line = item_document(1, "Bolo de cenoura", 5, 4590)
    assert (answer.status_code, answer.json) == (200, cart_document(cart, 3, line))


def test_a_line_stays_where_it_was_first_added(shop: Shop) -> None:
    cart = shop.open()
    for product_id in (2, 1, 2):
        shop.add(cart, product_id, 1)
    assert list(shop.quantities(cart).items()) == [(2, 2), (1, 1)]


def test_putting_sets_a_line_and_makes_one(shop: Shop) -> None:
    cart = shop.open()

    made = shop.put(cart, 1, 7)
    changed = shop.put(cart, 1, 4)

    line = item_document(1, "Bolo de cenoura", 7, 4590)
    assert (made.status_code, made.json) == (200, cart_document(cart, 2, line))
    line = item_document(1, "Bolo de cenoura", 4, 4590)
    assert (changed.status_code, changed.json) == (200, cart_document(cart, 3, line))


def test_an_item_can_be_taken_out_once(shop: Shop) -> None:
    cart = shop.open()
    shop.add(cart, 1, 2)
    shop.add(cart, 2, 1)

    answer = shop.client.delete(f"/api/carts/{cart}/items/1")
    again = shop.client.delete(f"/api/carts/{cart}/items/1")

    rest = cart_document(cart, 4, item_document(2, "Brigadeiro", 1, 350))
    assert (answer.status_code, answer.json) == (200, rest)
    assert again.status_code == 404
    problem(again, "item-not-found", "No such item in the cart", "The cart has no product 1.")
    assert shop.read(cart) == rest


def test_a_cart_can_be_thrown_away_once(shop: Shop) -> None:
    cart = shop.open()

    answer = shop.client.delete(f"/api/carts/{cart}")
    again = shop.client.delete(f"/api/carts/{cart}")

    assert (answer.status_code, answer.data) == (204, b"")
    assert again.status_code == 404
    problem(again, *GONE)
    assert shop.redis.client.exists(f"cart:{cart}") == 0


@pytest.mark.parametrize(
    "cart", [NO_SUCH_CART, "a", "A" * 23, "A" * 25, "A" * 23 + "é", "A" * 24 + "%0A"]
)
def test_a_cart_that_is_not_there_is_404_on_every_route_and_asks_nobody(
    shop: Shop, cart: str
) -> None:
    if cart != NO_SUCH_CART:  # not even a key of that name is a cart
        shop.redis.client.hset(f"cart:{unquote(cart)}", mapping={"_version": 1, "_settled": ""})
    keys = shop.redis.client.dbsize()
    answers = [
        shop.client.get(f"/api/carts/{cart}"),
        shop.client.delete(f"/api/carts/{cart}"),
        shop.client.delete(f"/api/carts/{cart}/items/1"),
        shop.add(cart, 1, 1),
        shop.put(cart, 1, 1),
    ]

    for answer in answers:
        assert answer.status_code == 404
        problem(answer, *GONE)
    assert shop.redis.client.dbsize() == keys
    assert shop.catalog.arrivals == []


def test_a_product_that_is_not_there_or_not_sold_is_404(shop: Shop) -> None:
    shop.catalog.offer(3, "Torta antiga", 100, 5, active=False)
    cart = shop.open()

    for product_id in (3, 999):
        for answer in (shop.add(cart, product_id, 1), shop.put(cart, product_id, 1)):
            assert answer.status_code == 404
            problem(
                answer,
                "product-not-found",
                "No such product",
                f"There is no product {product_id}.",
            )
    assert shop.read(cart) == cart_document(cart, 1)


def test_more_than_the_stock_is_refused_counting_what_the_cart_holds(shop: Shop) -> None:
    cart = shop.open()
    shop.add(cart, 1, 8)

    answers = [shop.add(cart, 1, 3), shop.put(cart, 1, 11)]

    for answer in answers:
        assert answer.status_code == 409
        problem(
            answer,
            "insufficient-stock",
            "Not enough in stock",
            "Not enough in stock of product 1.",
            lines=[{"product_id": 1, "requested": 11, "available": 10}],
        )
    assert shop.read(cart) == cart_document(cart, 2, item_document(1, "Bolo de cenoura", 8, 4590))


def test_a_line_that_is_no_longer_in_stock_shows_it(shop: Shop) -> None:
    cart = shop.open()
    shop.add(cart, 1, 8)
    shop.catalog.offer(1, "Bolo de cenoura", 4990, 7)
    shop.redis.client.delete("product:1")

    line = item_document(1, "Bolo de cenoura", 8, 4990, available=False)
    assert shop.read(cart) == cart_document(cart, 2, line)


def test_a_cart_holds_a_hundred_products(shop: Shop) -> None:
    for product_id in range(1, 102):
        shop.catalog.offer(product_id, f"Doce {product_id}", 100, 10)
    cart = shop.open()
    for product_id in range(1, 101):
        assert shop.add(cart, product_id, 1).status_code == 200
    asked = len(shop.catalog.arrivals)

    answers = [shop.add(cart, 101, 1), shop.put(cart, 101, 1)]

    message = "a cart holds at most 100 products"
    for answer in answers:
        assert answer.status_code == 422
        problem(
            answer,
            "validation-error",
            "The request is not valid",
            f"product_id: {message}",
            errors=[{"field": "product_id", "message": message}],
        )
    # The catalog answers at most a hundred products at a time, and is not asked for one more.
    assert len(shop.catalog.arrivals) == asked
    assert shop.add(cart, 100, 1).status_code == 200
    assert shop.quantities(cart) == dict.fromkeys(range(1, 100), 1) | {100: 2}


def test_a_line_holds_ten_thousand_units(shop: Shop) -> None:
    cart = shop.open()
    assert shop.add(cart, 2, 10_000).status_code == 200

    answer = shop.add(cart, 2, 1)

    message = "a line holds at most 10000 units"
    assert answer.status_code == 422
    problem(
        answer,
        "validation-error",
        "The request is not valid",
        f"quantity: {message}",
        errors=[{"field": "quantity", "message": message}],
    )
    assert shop.quantities(cart) == {2: 10_000}


def test_every_use_keeps_the_cart_for_another_day(shop: Shop) -> None:
    cart = shop.open()
    uses = [
        lambda: shop.add(cart, 1, 1),
        lambda: shop.put(cart, 1, 2),
        lambda: shop.client.get(f"/api/carts/{cart}"),
        lambda: shop.client.delete(f"/api/carts/{cart}/items/1"),
    ]
    for use in uses:
        shop.redis.client.pexpire(f"cart:{cart}", 60_000)

        assert use().status_code == 200

        left = shop.redis.client.pttl(f"cart:{cart}")
        assert TTL_MILLISECONDS - 5000 < left <= TTL_MILLISECONDS


def test_the_day_begins_with_the_change_not_with_the_question_before_it(shop: Shop) -> None:
    cart = shop.open()
    shop.catalog.before_answering = lambda: shop.redis.client.pexpire(f"cart:{cart}", 60_000)

    assert shop.add(cart, 1, 1).status_code == 200

    assert shop.redis.client.pttl(f"cart:{cart}") > TTL_MILLISECONDS - 5000


@pytest.mark.promise(25)
def test_an_unused_cart_expires_on_time(make_shop: MakeShop) -> None:
    shop = make_shop(cart_ttl_seconds=1)
    opened = time.monotonic()
    cart = shop.open()

    wait_until(lambda: not shop.redis.client.exists(f"cart:{cart}"), seconds=2.0)

    assert time.monotonic() - opened == pytest.approx(1.0, abs=0.5)
    answer = shop.client.get(f"/api/carts/{cart}")
    assert answer.status_code == 404
    problem(answer, *GONE)


def test_operations_routes_say_how_the_cart_does(shop: Shop) -> None:
    assert shop.client.get("/health").json == {"status": "ok"}
    assert shop.client.get("/ready").json == {"status": "ready", "checks": ["redis"]}
    status = shop.client.get("/status").json
    assert status.pop("memory")["used_bytes"] > 0
    assert status == {"node": "matriz", "instance": "local", "catalog": {"circuit": "closed"}}
    paths = shop.client.get("/openapi.json").json["paths"]
    assert sorted(paths) == [
        "/api/carrinho/sessao",
        "/api/carrinho/{session_id}",
        "/api/carrinho/{session_id}/adicionar",
        "/api/carts",
        "/api/carts/{cart_id}",
        "/api/carts/{cart_id}/items",
        "/api/carts/{cart_id}/items/{product_id}",
        "/internal/dead-letters",
        "/internal/dead-letters/{letter_id}/replay",
        "/internal/parts",
    ]
