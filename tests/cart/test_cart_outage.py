"""The cart without its Redis, with a full one, and without the catalog (promise 26)."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from chassis.metrics import CIRCUIT_OPENINGS
from tests.cart.rig import (
    NO_SUCH_CART,
    MakeShop,
    RedisServer,
    Shop,
    cart_document,
    item_document,
    problem,
)
from tests.shop import wait_until
from tests.stand_in import Answer, HangUp

UNAVAILABLE = (
    "unavailable",
    "Temporarily unavailable",
    "The store did not answer or is full; try again.",
)


def refused_by_the_store(answer: Any) -> None:
    assert answer.status_code == 503
    problem(answer, *UNAVAILABLE)
    assert answer.headers["Retry-After"] == "1"
    assert answer.headers["Cache-Control"] == "no-store"


def openings() -> float:
    return CIRCUIT_OPENINGS.labels("catalog")._value.get()


@pytest.mark.promise(26)
def test_full_memory_refuses_writes_and_nothing_else(shop: Shop) -> None:
    cart = shop.open()
    shop.add(cart, 1, 2)
    shop.add(cart, 2, 3)
    before = shop.read(cart)
    keys = sorted(shop.redis.client.keys())
    shop.redis.fill()

    refused_by_the_store(shop.client.post("/api/carts"))
    refused_by_the_store(shop.add(cart, 1, 1))
    refused_by_the_store(shop.put(cart, 1, 1))

    assert shop.read(cart) == before
    assert sorted(shop.redis.client.keys()) == keys
    answer = shop.client.delete(f"/api/carts/{cart}/items/1")
    rest = cart_document(cart, 4, item_document(2, "Brigadeiro", 3, 350))
    assert (answer.status_code, answer.json) == (200, rest)
    assert shop.client.delete(f"/api/carts/{cart}").status_code == 204


@pytest.mark.promise(26)
def test_full_memory_still_shows_what_it_cannot_remember(shop: Shop) -> None:
    cart = shop.open()
    shop.add(cart, 1, 2)
    shop.redis.client.delete("product:1")
    shop.redis.fill()

    shown = [shop.read(cart), shop.read(cart)]

    line = item_document(1, "Bolo de cenoura", 2, 4590)
    assert shown == [cart_document(cart, 2, line)] * 2
    assert shop.catalog.asked_for() == ["1", "1", "1"]


def test_a_frozen_store_is_503_in_bounded_time_and_adds_at_most_once(make_shop: MakeShop) -> None:
    shop = make_shop(cart_redis_wait_seconds=0.3)
    cart = shop.open()
    shop.add(cart, 1, 1)
    shop.read(cart)
    shop.redis.freeze()
    try:
        for call in (
            lambda: shop.client.get(f"/api/carts/{cart}"),
            lambda: shop.client.post("/api/carts"),
            lambda: shop.client.delete(f"/api/carts/{cart}/items/2"),
            lambda: shop.add(cart, 1, 1),
        ):
            asked = time.monotonic()
            refused_by_the_store(call())
            assert time.monotonic() - asked < 0.9
    finally:
        shop.redis.thaw()

    wait_until(shop.redis.answers)
    assert shop.quantities(cart)[1] in (1, 2)


def test_an_unanswered_addition_is_not_sent_again(make_shop: MakeShop) -> None:
    # The script is what reaches Redis last: freeze it just before, while the catalog is asked.
    shop = make_shop(cart_redis_wait_seconds=0.3, catalog_wait_seconds=5)
    shop.catalog.offer(5, "Pudim", 1200, 50)
    cart = shop.open()
    shop.add(cart, 5, 1)
    scripts = shop.ports.scripts
    sent = []
    client = scripts.change.registered_client
    evalsha = client.evalsha

    def freeze_and_send(*args: Any) -> Any:
        if args[0] != scripts.change.sha:
            return evalsha(*args)
        sent.append(args)
        shop.redis.freeze()
        return evalsha(*args)

    client.evalsha = freeze_and_send  # type: ignore[method-assign]
    try:
        refused_by_the_store(shop.add(cart, 5, 1))
    finally:
        shop.redis.thaw()
        client.evalsha = evalsha  # type: ignore[method-assign]

    wait_until(shop.redis.answers)
    assert len(sent) == 1
    assert shop.quantities(cart) == {5: 2}


def test_a_dead_store_is_503_and_not_ready_until_it_is_back(
    make_shop: MakeShop, other_redis: RedisServer
) -> None:
    shop = make_shop(redis=other_redis)
    shop.open()
    other_redis.kill()

    refused_by_the_store(shop.client.post("/api/carts"))
    refused_by_the_store(shop.client.get(f"/api/carts/{NO_SUCH_CART}"))
    assert shop.client.get("/health").status_code == 200
    assert shop.client.get("/ready").json["away"] == ["redis"]
    assert shop.client.get("/status").json["memory"] is None

    other_redis.start()
    assert shop.client.get("/ready").status_code == 200
    cart = shop.open()
    assert shop.add(cart, 1, 1).status_code == 200


@pytest.mark.parametrize(
    "kind",
    [
        HangUp(),
        Answer(status=503),
        Answer(status=500),
        Answer(status=401, body=b'{"title": "no"}'),
        Answer(body=b"not json"),
        Answer(body=b'{"items": [{"id": 7}]}'),
        Answer(body=b"[]"),
        Answer(delay=0.5),
    ],
    ids=["cut", "503", "500", "401", "no json", "no product", "a list", "slow"],
)
def test_without_the_catalog_the_cart_takes_the_item_unverified(
    make_shop: MakeShop, kind: Answer | HangUp
) -> None:
    shop = make_shop(catalog_wait_seconds=0.2)
    cart = shop.open()
    shop.catalog.go_away(kind)

    answer = shop.add(cart, 7, 20)

    line = item_document(7, None, 20, None, available=None)
    assert (answer.status_code, answer.json) == (200, cart_document(cart, 2, line))


def test_what_is_known_is_shown_unverified_while_the_catalog_is_away(make_shop: MakeShop) -> None:
    shop = make_shop(catalog_check_seconds=0)
    cart = shop.open()
    shop.add(cart, 1, 2)
    shop.catalog.go_away()

    line = item_document(1, "Bolo de cenoura", 2, 4590, available=None)
    assert shop.read(cart) == cart_document(cart, 2, line)
    answer = shop.add(cart, 1, 200)
    line = item_document(1, "Bolo de cenoura", 202, 4590, available=None)
    assert (answer.status_code, answer.json) == (200, cart_document(cart, 3, line))
    assert answer.json["total_cents"] == 202 * 4590

    shop.redis.client.delete("product:1")
    assert shop.read(cart) == cart_document(cart, 3, line)

    shop.catalog.come_back()
    line = item_document(1, "Bolo de cenoura", 202, 4590, available=False)
    assert shop.read(cart) == cart_document(cart, 3, line)


def test_a_catalog_unheard_of_is_asked_even_when_every_view_is_there(make_shop: MakeShop) -> None:
    shop = make_shop(catalog_check_seconds=0.2)
    cart = shop.open()
    shop.add(cart, 1, 2)
    shop.catalog.go_away()

    wait_until(lambda: shop.read(cart)["items"][0]["verified"] is False, seconds=2.0)

    assert shop.redis.client.exists("product:1") == 1


def test_a_product_that_turns_out_not_to_exist_is_shown_unavailable(make_shop: MakeShop) -> None:
    shop = make_shop()
    cart = shop.open()
    shop.catalog.go_away()
    shop.add(cart, 999, 1)
    shop.catalog.come_back()

    line = item_document(999, None, 1, None, available=False)
    assert shop.read(cart) == cart_document(cart, 2, line)


def test_the_breaker_leaves_a_failing_catalog_alone_and_heals(make_shop: MakeShop) -> None:
    shop = make_shop(breaker_reset_seconds=0.5, catalog_check_seconds=0)
    cart = shop.open()
    shop.add(cart, 1, 1)
    counted = openings()
    shop.catalog.go_away()

    for _ in range(5):
        assert shop.read(cart)["items"][0]["verified"] is False
    arrived = len(shop.catalog.arrivals)
    assert shop.client.get("/status").json["catalog"] == {"circuit": "open"}
    assert openings() == counted + 1

    shop.catalog.come_back()
    assert shop.read(cart)["items"][0]["verified"] is False
    assert len(shop.catalog.arrivals) == arrived

    wait_until(lambda: shop.read(cart)["items"][0]["verified"] is True, seconds=3.0)
    assert shop.client.get("/status").json["catalog"] == {"circuit": "closed"}
    assert openings() == counted + 1


def test_unknown_products_do_not_open_the_breaker(shop: Shop) -> None:
    cart = shop.open()

    for _ in range(10):
        assert shop.add(cart, 999, 1).status_code == 404

    assert shop.client.get("/status").json["catalog"] == {"circuit": "closed"}


def test_a_slow_catalog_does_not_queue_shoppers_one_behind_another(make_shop: MakeShop) -> None:
    shop = make_shop(catalog_wait_seconds=0.5)
    carts = [shop.open() for _ in range(12)]
    shop.catalog.go_away(Answer(delay=3.0))

    began = time.monotonic()
    with ThreadPoolExecutor(12) as pool:
        answers = list(pool.map(lambda cart: shop.add(cart, 1, 1), carts))

    assert [answer.status_code for answer in answers] == [200] * 12
    assert time.monotonic() - began < 1.5
    assert shop.client.get("/status").json["catalog"] == {"circuit": "open"}
