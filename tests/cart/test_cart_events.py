"""What the events of catalog and orders do to views and carts."""

from __future__ import annotations

import json
from typing import Any

import pytest
from redis.exceptions import RedisError

from cart import settlement
from cart.commands import loops
from chassis import bus
from chassis.ids import new_id
from tests.cart.rig import (
    NO_SUCH_CART,
    MakeShop,
    RedisServer,
    Shop,
    cart_document,
    event,
    item_document,
)


def order(cart: str | None, lines: dict[int, int], status: str = "confirmed") -> dict[str, Any]:
    """An order as its events tell it."""
    items = [
        {"product_id": i, "name": "…", "quantity": quantity, "unit_price_cents": 100}
        for i, quantity in lines.items()
    ]
    return {"id": new_id(), "status": status, "cart_id": cart, "items": items, "version": 4}


def tell(shop: Shop, data: dict[str, Any]) -> None:
    settlement.on_order_event(shop.ports, event("order.status_changed", data))


def described(shop: Shop, product_id: int, **changes: Any) -> dict[str, Any]:
    """`product.updated`: the product as the catalog knows it, with changes."""
    product = shop.catalog.products[product_id] | changes
    return {name: value for name, value in product.items() if not name.startswith("stock")}


def stocked(shop: Shop, product_id: int, available: int, version: int, **more: Any) -> Any:
    """`stock.updated` of this branch unless `more` says otherwise."""
    stock = {"product_id": product_id, "branch": "matriz", "available": available}
    return event(
        "stock.updated",
        stock | {"version": version, "product": described(shop, product_id)} | more,
    )


def view(shop: Shop, product_id: int) -> dict[str, Any]:
    return dict(json.loads(shop.redis.client.get(f"product:{product_id}")))


def test_a_confirmed_order_takes_what_it_bought_out_once(shop: Shop) -> None:
    cart = shop.open()
    shop.add(cart, 1, 2)
    shop.add(cart, 2, 5)
    bought = order(cart, {1: 2, 2: 3, 3: 1})

    tell(shop, bought)
    tell(shop, bought)

    rest = cart_document(cart, 4, item_document(2, "Brigadeiro", 2, 350))
    assert shop.read(cart) == rest
    tell(shop, order(cart, {2: 1}))
    assert shop.quantities(cart) == {2: 1}
    tell(shop, bought)
    assert shop.quantities(cart) == {2: 1}


@pytest.mark.parametrize("status", ["pending", "reserved", "paid", "failed", "cancelled"])
def test_an_order_that_is_not_confirmed_leaves_the_cart(shop: Shop, status: str) -> None:
    cart = shop.open()
    shop.add(cart, 1, 2)
    before = shop.read(cart)

    tell(shop, order(cart, {1: 2}, status))
    settlement.on_order_event(shop.ports, event("order.placed", order(cart, {1: 2})))

    assert shop.read(cart) == before


@pytest.mark.parametrize("cart", [NO_SUCH_CART, None])
def test_an_order_whose_cart_is_gone_makes_none(shop: Shop, cart: str | None) -> None:
    tell(shop, order(cart, {1: 2}))

    assert shop.redis.client.dbsize() == 0


def test_an_order_of_what_is_no_cart_changes_nothing(shop: Shop) -> None:
    stored = {"_version": "1", "_settled": "", "1": "2 2 "}
    shop.redis.client.hset("cart:none", mapping=stored)

    tell(shop, order("none", {1: 2}))

    assert shop.redis.client.hgetall("cart:none") == stored


def test_an_order_id_that_could_match_another_is_refused(shop: Shop) -> None:
    cart = shop.open()

    with pytest.raises(ValueError, match="ULID"):
        tell(shop, order(cart, {1: 2}) | {"id": "0"})


def test_orders_are_settled_in_full_memory(shop: Shop) -> None:
    cart = shop.open()
    shop.add(cart, 2, 5)
    shop.redis.fill()

    tell(shop, order(cart, {2: 3}))

    assert shop.quantities(cart) == {2: 2}


def test_a_cart_remembers_its_last_two_hundred_orders(shop: Shop) -> None:
    cart = shop.open()
    shop.add(cart, 2, 1000)
    first, second = order(cart, {2: 1}), order(cart, {2: 1})

    for data in [first, second, *(order(cart, {2: 1}) for _ in range(199)), second]:
        tell(shop, data)

    assert shop.quantities(cart) == {2: 1000 - 201}
    settled = shop.redis.client.hget(f"cart:{cart}", "_settled")
    assert len(settled) == 200 * 27
    assert second["id"] in settled and first["id"] not in settled


def test_views_follow_newer_events_and_only_those(shop: Shop) -> None:
    cart = shop.open()
    shop.add(cart, 1, 2)
    shop.redis.client.pexpire("product:1", 50_000)
    learn = shop.ports.products.on_catalog_event

    learn(event("product.updated", described(shop, 1, name="Bolo", price_cents=5000, version=3)))
    learn(event("product.updated", described(shop, 1, name="Antes", price_cents=1, version=2)))
    learn(event("product.updated", described(shop, 1, name="Antes", price_cents=1, version=3)))
    learn(stocked(shop, 1, 1, 6))
    learn(stocked(shop, 1, 50, 5))
    learn(stocked(shop, 1, 99, 9, branch="filial"))
    learn(event("category.created", {"id": 1}))

    assert view(shop, 1) == {
        "name": "Bolo",
        "price_cents": 5000,
        "active": True,
        "version": 3,
        "available": 1,
        "stock_version": 6,
    }
    assert 45_000 < shop.redis.client.pttl("product:1") <= 50_000
    line = item_document(1, "Bolo", 2, 5000, available=False)
    assert shop.read(cart) == cart_document(cart, 2, line)
    assert shop.catalog.asked_for() == ["1"]


def test_events_of_products_in_no_cart_take_no_memory(shop: Shop) -> None:
    shop.ports.products.on_catalog_event(event("product.updated", described(shop, 1)))
    shop.ports.products.on_catalog_event(stocked(shop, 2, 5, 9))

    assert shop.redis.client.dbsize() == 0


def test_views_follow_events_in_full_memory(shop: Shop) -> None:
    shop.add(shop.open(), 1, 2)
    shop.redis.fill()

    shop.ports.products.on_catalog_event(stocked(shop, 1, 3, 8))

    assert view(shop, 1)["available"] == 3


def test_an_event_during_the_question_is_not_lost_to_the_older_answer(shop: Shop) -> None:
    cart = shop.open()
    newer = described(shop, 1, price_cents=4990, version=2)
    learn = shop.ports.products.on_catalog_event
    shop.catalog.before_answering = lambda: learn(event("product.updated", newer))

    answer = shop.add(cart, 1, 2)

    line = item_document(1, "Bolo de cenoura", 2, 4990)
    assert answer.json == cart_document(cart, 2, line)
    assert shop.read(cart) == cart_document(cart, 2, line)


def test_the_background_process_applies_the_events_of_the_bus(
    make_shop: MakeShop, other_redis: RedisServer
) -> None:
    shop = make_shop(event_bus_url=other_redis.url)
    cart = shop.open()
    shop.add(cart, 1, 2)
    streams = other_redis.client
    bus.publisher(other_redis.url, "catalog").publish([stocked(shop, 1, 4, 7)])
    bought = event("order.status_changed", order(cart, {1: 1}))
    bus.publisher(other_redis.url, "orders").publish([bought, bought])

    duties = {loop.name: loop.cycle for loop in loops(shop.ports)}
    assert {"settlement", "views"} <= duties.keys()
    assert [duties["views"](), duties["settlement"]()] == [True, True]

    assert shop.quantities(cart) == {1: 1}
    assert view(shop, 1)["available"] == 4
    for stream in ("events:catalog", "events:orders"):
        assert streams.xpending(stream, "cart")["pending"] == 0


def test_an_event_waits_for_an_absent_store_and_is_not_set_aside(
    make_shop: MakeShop, other_redis: RedisServer, redis_server: RedisServer
) -> None:
    shop = make_shop(redis=other_redis)
    cart = shop.open()
    shop.add(cart, 1, 2)
    settle = {loop.name: loop.cycle for loop in loops(shop.ports)}["settlement"]
    streams = redis_server.client
    bought = event("order.status_changed", order(cart, {1: 1}))
    bus.publisher(redis_server.url, "orders").publish([bought])
    other_redis.client.config_set("appendonly", "yes")
    other_redis.kill()

    for _ in range(2 * bus.MOST_ATTEMPTS):
        with pytest.raises(RedisError):
            settle()

    other_redis.start()
    assert settle() is True
    assert streams.exists("dead:cart") == 0
    assert streams.xpending("events:orders", "cart")["pending"] == 0
