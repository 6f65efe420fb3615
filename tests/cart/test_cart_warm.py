"""While the background process listens, reading a cart asks nobody but Redis."""

from __future__ import annotations

import json
from urllib.parse import parse_qs, urlsplit

import pytest

from cart import refreshing
from cart.commands import loops
from tests.cart.rig import Shop
from tests.stand_in import Answer, Arrival


@pytest.fixture
def listed(shop: Shop) -> Shop:
    """The catalog lists its products, one a page, and says that it is ready."""
    known = shop.catalog.respond

    def respond(arrival: Arrival) -> Answer:
        url = urlsplit(arrival.target)
        if url.path == "/ready":
            return Answer(body=b"{}")
        if url.path != "/api/products":
            answer = known(arrival)
            assert isinstance(answer, Answer)
            return answer
        ids = sorted(i for i, each in shop.catalog.products.items() if each["active"])
        start = int(parse_qs(url.query).get("cursor", ["0"])[0])
        cursor = str(start + 1) if start + 1 < len(ids) else None
        items = [shop.catalog.products[ids[start]]]
        return Answer(body=json.dumps({"items": items, "next_cursor": cursor}).encode())

    shop.catalog.respond = respond
    return shop


def asked(shop: Shop) -> list[str]:
    return [urlsplit(arrival.target).path for arrival in shop.catalog.arrivals]


def forget_what_was_heard(shop: Shop) -> None:
    shop.ports.products._heard = float("-inf")


def test_a_warm_cart_is_read_without_asking_the_catalog(listed: Shop) -> None:
    cart = listed.open()
    listed.add(cart, 1, 2)
    forget_what_was_heard(listed)
    refreshing.listen(listed.ports)
    before = len(listed.catalog.arrivals)

    shown = listed.read(cart)

    assert [item["verified"] for item in shown["items"]] == [True]
    assert listed.catalog.arrivals[before:] == []


def test_a_catalog_that_does_not_answer_is_not_vouched_for(listed: Shop) -> None:
    cart = listed.open()
    listed.add(cart, 1, 2)
    forget_what_was_heard(listed)
    listed.catalog.go_away()

    refreshing.listen(listed.ports)

    assert listed.redis.client.exists("catalog:heard") == 0
    assert [item["verified"] for item in listed.read(cart)["items"]] == [False]


def test_a_view_in_use_is_renewed_before_it_ends_and_others_are_not(listed: Shop) -> None:
    cart = listed.open()
    listed.add(cart, 1, 2)
    listed.redis.client.pexpire("product:1", 5000)
    listed.catalog.offer(1, "Bolo de fubá", 4100, 3)

    refreshing.renew(listed.ports)

    assert listed.redis.client.pttl("product:1") > 5000
    assert listed.read(cart)["items"][0]["name"] == "Bolo de fubá"
    assert listed.redis.client.exists("product:2") == 0


def test_an_idle_view_is_left_to_end(listed: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    listed.add(listed.open(), 1, 2)
    settings = listed.ports.settings.model_copy(update={"product_view_seconds": 0})
    monkeypatch.setitem(listed.ports.__dict__, "settings", settings)
    before = len(listed.catalog.arrivals)

    refreshing.renew(listed.ports)

    assert listed.catalog.arrivals[before:] == []


def test_rebuild_makes_every_view_anew_whatever_it_said(listed: Shop) -> None:
    wrong = {
        "name": "Errado",
        "price_cents": 1,
        "active": True,
        "version": 99,
        "available": 1,
        "stock_version": 99,
    }
    for product_id in (1, 3):
        listed.redis.client.set(f"product:{product_id}", json.dumps(wrong))

    done = listed.app.test_cli_runner().invoke(args=["rebuild"])

    assert (done.exit_code, done.output) == (0, "cart: 2 product views rebuilt\n")
    names = [json.loads(listed.redis.client.get(f"product:{i}")).get("name") for i in (1, 2, 3)]
    assert names == ["Bolo de cenoura", "Brigadeiro", None]
    assert asked(listed) == ["/api/products", "/api/products", "/internal/products"]


def test_rebuild_without_the_catalog_says_so_in_one_line(listed: Shop) -> None:
    listed.catalog.go_away()

    done = listed.app.test_cli_runner().invoke(args=["rebuild"])

    assert done.exit_code == 1
    assert done.output.startswith("cart: the views were not rebuilt: ")
    assert done.output.count("\n") == 1


def test_the_background_process_does_all_of_it(shop: Shop) -> None:
    assert {loop.name for loop in loops(shop.ports)} >= {"listen", "renew"}
