"""A cart is changed by what is known when that allows it, with the same answer as by asking."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from cart.products import HEARD
from tests.cart.rig import MakeShop, Shop, cart_document, item_document
from tests.shop import wait_until

# On sale with few, with more than a line holds, with none; not on sale; unknown.
PRODUCTS = (1, 2, 3, 4, 99)
STEPS = st.tuples(
    st.sampled_from(["add", "set"]),
    st.sampled_from(PRODUCTS),
    st.sampled_from([1, 2, 5, 6, 9_999, 10_000]),
)


def offer_all(shop: Shop) -> None:
    shop.catalog.offer(3, "Pudim", 1200, 0)
    shop.catalog.offer(4, 'Torta / "fria" de limão', 6500, 20, active=False)


def answer(shop: Shop, cart: str, step: tuple[str, int, int]) -> tuple[int, Any]:
    how, product_id, quantity = step
    found = (shop.add if how == "add" else shop.put)(cart, product_id, quantity)
    own = ("id", "instance")
    return found.status_code, {k: v for k, v in found.json.items() if k not in own}


@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@example(steps=[("add", 2, 9_999), ("add", 2, 2), ("set", 2, 10_000), ("add", 2, 1)])
@example(steps=[("add", 1, 6), ("add", 1, 5), ("set", 1, 10_000), ("add", 4, 1), ("set", 3, 1)])
@given(steps=st.lists(STEPS, min_size=1, max_size=12))
def test_what_is_known_gives_the_answers_that_the_catalog_gives(
    shop: Shop, steps: list[tuple[str, int, int]]
) -> None:
    offer_all(shop)
    quick, asking = shop.open(), shop.open()
    for step in steps:
        shop.warm_up()
        before = len(shop.catalog.arrivals)
        found = answer(shop, quick, step)
        if found[0] == 200:
            assert len(shop.catalog.arrivals) == before, "it asked the catalog"
        shop.redis.client.delete(HEARD)
        shop.ports.products._heard = float("-inf")
        assert answer(shop, asking, step) == found
        assert len(shop.catalog.arrivals) > before, "it did not"


@pytest.fixture
def warm(make_shop: MakeShop) -> Shop:
    shop = make_shop(cart_redis_wait_seconds=0.3)
    offer_all(shop)
    shop.warm_up()
    return shop


def test_an_addition_is_one_way_to_redis(warm: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    cart = warm.open()
    warm.add(cart, 1, 1)
    sent: list[Any] = []
    client = warm.ports.redis
    execute = client.execute_command
    monkeypatch.setattr(
        client, "execute_command", lambda *command: sent.append(command[:2]) or execute(*command)
    )

    shown = warm.add(cart, 2, 3).json

    bolo, brigadeiro = (
        item_document(1, "Bolo de cenoura", 1, 4590),
        item_document(2, "Brigadeiro", 3, 350),
    )
    assert shown == cart_document(cart, 3, bolo, brigadeiro)
    assert sent == [("EVALSHA", warm.ports.scripts.change_known.sha)]


def test_a_catalog_that_was_not_heard_of_is_asked_whatever_is_known(warm: Shop) -> None:
    cart = warm.open()
    warm.catalog.offer(1, "Bolo de cenoura", 4590, 0)
    warm.redis.client.delete(HEARD)
    warm.ports.products._heard = float("-inf")
    assert warm.add(cart, 1, 1).status_code == 409


def test_a_name_is_kept_as_it_is(warm: Shop) -> None:
    warm.catalog.offer(4, 'Torta / "fria" de limão', 6500, 20)
    warm.warm_up()
    cart = warm.open()
    warm.add(cart, 4, 1)
    warm.redis.client.delete("product:4")
    warm.catalog.go_away()
    line = item_document(4, 'Torta / "fria" de limão', 1, 6500, available=None)
    assert warm.read(cart) == cart_document(cart, 2, line)


@pytest.mark.parametrize(
    "half",
    [
        {"available": 3, "stock_version": 0},
        {"name": "Bolo", "price_cents": 1, "active": True, "version": 0},
        {},
    ],
)
def test_a_view_that_is_half_known_decides_nothing(warm: Shop, half: dict[str, Any]) -> None:
    warm.redis.client.set("product:1", json.dumps(half))
    cart = warm.open()
    assert warm.add(cart, 1, 4).status_code == 200
    assert warm.catalog.asked_for()[-1] == "1"


def test_an_unanswered_addition_is_not_sent_again(warm: Shop) -> None:
    cart = warm.open()
    warm.add(cart, 1, 1)
    warm.redis.freeze()
    try:
        assert warm.add(cart, 1, 1).status_code == 503
    finally:
        warm.redis.thaw()
    wait_until(warm.redis.answers)
    assert warm.quantities(cart) == {1: 2}


def test_a_full_store_takes_no_addition_and_changes_nothing(warm: Shop) -> None:
    cart = warm.open()
    warm.add(cart, 1, 1)
    warm.redis.fill()
    try:
        assert warm.add(cart, 1, 1).status_code == 503
    finally:
        warm.redis.client.config_set("maxmemory", 0)
    assert warm.quantities(cart) == {1: 1}


def test_a_refused_addition_keeps_the_cart_for_another_day(warm: Shop) -> None:
    cart = warm.open()
    warm.redis.client.pexpire(f"cart:{cart}", 60_000)
    assert warm.add(cart, 3, 1).status_code == 409
    assert warm.redis.client.pttl(f"cart:{cart}") > 86_000_000
