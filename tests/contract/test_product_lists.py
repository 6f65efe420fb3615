"""Lists of products: filters, orders, and pages that stay in place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.shelf import NEWEST, Shelf, edit, problem
from tests.shop import Shop

FILTERED: list[tuple[dict[str, Any], list[str]]] = [
    ({}, ["Ameixa", "Broa", "Caju", "Damasco"]),
    ({"min_price_cents": 200}, ["Broa", "Caju", "Damasco"]),
    ({"max_price_cents": 200}, ["Ameixa", "Broa"]),
    ({"min_price_cents": 200, "max_price_cents": 300}, ["Broa", "Caju"]),
    ({"min_price_cents": 401}, []),
    ({"in_stock": "true"}, ["Ameixa", "Caju"]),
    ({"in_stock": "false"}, ["Broa", "Damasco"]),
    ({"q": "fresca"}, ["Ameixa", "Broa"]),
    ({"q": "fresca", "in_stock": "true", "max_price_cents": 100}, ["Ameixa"]),
    ({"q": "fresca", "in_stock": "false", "max_price_cents": 100}, []),
    ({"sort": "name"}, ["Ameixa", "Broa", "Caju", "Damasco"]),
    ({"sort": "-name"}, ["Damasco", "Caju", "Broa", "Ameixa"]),
    ({"sort": "price"}, ["Ameixa", "Broa", "Caju", "Damasco"]),
    ({"sort": "-price"}, ["Damasco", "Caju", "Broa", "Ameixa"]),
    ({"sort": "newest"}, ["Broa", "Damasco", "Ameixa", "Caju"]),
    ({"sort": "-price", "in_stock": "false"}, ["Damasco", "Broa"]),
]


@pytest.fixture(scope="module")
def four(shop: Shop) -> Shelf:
    shelf = Shelf(shop)
    shelf.put("Caju", price_cents=300, stock=1)
    shelf.put("Ameixa", price_cents=100, stock=2, description="Fruta fresca")
    shelf.put("Damasco", price_cents=400, stock=0)
    shelf.put("Broa", price_cents=200, stock=0, description="Massa fresca")
    gone = shelf.put("Zimbro", price_cents=100)
    deleted = shop.http.delete(f"/api/products/{gone['id']}", headers=shop.operator.headers)
    assert deleted.status_code == 204
    return shelf


@pytest.mark.parametrize(("parameters", "names"), FILTERED, ids=lambda value: str(value)[:60])
def test_filters_and_orders(four: Shelf, parameters: dict[str, Any], names: list[str]) -> None:
    assert four.names(**parameters) == names


def test_what_is_off_sale_is_listed_for_operators_only(shop: Shop, four: Shelf) -> None:
    path = f"/api/products/off-sale?category={four.category['slug']}"
    answer = shop.http.get(path, headers={**NEWEST, **shop.operator.headers})
    assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
    (gone,) = answer.json()["items"]
    assert (gone["name"], gone["active"]) == ("Zimbro", False)
    # Its answer is nobody else's: not out of the gateway's cache, and not for a customer.
    assert shop.http.get(path, headers=shop.operator.headers).status_code == 200
    assert shop.http.get(path).status_code == 401
    assert shop.http.get(path, headers=shop.new_user().headers).status_code == 403


@pytest.mark.parametrize("q", ["", "&q=bolo"])
def test_an_unknown_category_has_no_products(shop: Shop, q: str) -> None:
    assert shop.http.get(f"/api/products?{q}").json()["items"]
    answer = shop.http.get(f"/api/products?category=nenhuma{q}")
    assert (answer.status_code, answer.json()) == (200, {"items": [], "next_cursor": None})


def test_names_are_ordered_without_case_and_accents(shelf: Shelf) -> None:
    for name in ("éclair", "Bolo", "ácido", "Açaí", "bala", "Zebra", "Êxtase"):
        shelf.put(name)
    assert shelf.names() == ["Açaí", "ácido", "bala", "Bolo", "éclair", "Êxtase", "Zebra"]


def collect(
    shelf: Shelf, between: Callable[[int], None], limit: int = 4, **parameters: str
) -> list[dict[str, Any]]:
    """All pages one after the other, with something happening before each next one."""
    shown, cursor, number = [], {}, 0
    while True:
        page = shelf.page(limit=limit, **parameters, **cursor)
        shown += page["items"]
        if page["next_cursor"] is None:
            return shown
        assert len(page["items"]) == limit
        cursor = {"cursor": page["next_cursor"]}
        between(number)
        number += 1


@pytest.mark.parametrize("asked", [{}, {"q": "doce"}], ids=["list", "search"])
@pytest.mark.parametrize("sort", ["name", "-name", "price", "-price", "newest"])
def test_pages_stay_in_place_while_products_change(
    shop: Shop, shelf: Shelf, sort: str, asked: dict[str, str]
) -> None:
    # Ties in every order: three of each name, four of each price.
    kept = [shelf.put(f"Doce {n // 3}", price_cents=100 + n // 4, stock=9) for n in range(12)]
    going = [shelf.put(f"Doce {n}", price_cents=100 + n, stock=9) for n in range(3)]
    buyer = shop.new_user()

    def disturb(number: int) -> None:
        shelf.put("Aaa", price_cents=1)
        shelf.put("Zzz", price_cents=10**6)
        if number < len(going):
            path = f"/api/products/{going[number]['id']}"
            assert shop.http.delete(path, headers=shop.operator.headers).status_code == 204
        assert edit(shop, kept[number], description="outra").status_code == 200
        shop.buy(buyer, (kept[-1 - number]["id"], 1))

    shown = [product["id"] for product in collect(shelf, disturb, sort=sort, **asked)]

    assert len(shown) == len(set(shown)), "nothing is shown twice"
    kept_ids = [product["id"] for product in kept]
    assert [i for i in shown if i in kept_ids] == {
        "name": kept_ids,
        "-name": kept_ids[::-1],
        "price": kept_ids,
        "-price": kept_ids[::-1],
        "newest": kept_ids[::-1],
    }[sort]


def test_a_product_that_moves_between_pages_hides_none(shop: Shop, shelf: Shelf) -> None:
    kept = [shelf.put(f"Doce {n}") for n in range(8)]
    moving = [shelf.put(f"Doce {n} e meio") for n in range(2)]

    def rename(number: int) -> None:
        names = {0: "Aaa", 1: "Zzz"}  # back before the cursor, and on to the end
        if number in names:
            assert edit(shop, moving[number], name=names[number]).status_code == 200

    shown = [product["id"] for product in collect(shelf, rename, sort="name")]

    kept_ids = [product["id"] for product in kept]
    assert [i for i in shown if i in kept_ids] == kept_ids


def test_a_cursor_belongs_to_its_order(shelf: Shelf) -> None:
    for n in range(2):
        shelf.put(f"Doce {n}")
    cursor = shelf.page(limit=1, sort="name")["next_cursor"]

    answer = shelf.shop.http.get("/api/products", params={"sort": "price", "cursor": cursor})

    message = "is not a cursor of this list"
    problem(
        answer,
        "validation-error",
        "The request is not valid",
        422,
        f"cursor: {message}",
        errors=[{"field": "cursor", "message": message}],
    )


def test_pages_have_twenty_rows_unless_asked_otherwise(shelf: Shelf) -> None:
    for n in range(22):
        shelf.put(f"Doce {n}")
    first = shelf.page()
    assert len(first["items"]) == 20
    assert len(shelf.page(cursor=first["next_cursor"])["items"]) == 2
    assert len(shelf.page(limit=100)["items"]) == 22
    assert len(shelf.page(limit=1)["items"]) == 1
    assert shelf.page(limit=22)["next_cursor"] is None


def test_categories_come_in_pages(shop: Shop, shelf: Shelf) -> None:
    def all_of(limit: int) -> list[dict[str, Any]]:
        shown: list[dict[str, Any]] = []
        parameters: dict[str, Any] = {"limit": limit}
        while True:
            page = shop.http.get("/api/categories", params=parameters, headers=NEWEST).json()
            shown += page["items"]
            if page["next_cursor"] is None:
                return shown
            assert len(page["items"]) == limit
            parameters["cursor"] = page["next_cursor"]

    by_seven = all_of(7)

    assert by_seven == all_of(100)
    assert len(by_seven) == len({category["id"] for category in by_seven})
    assert by_seven.count(shelf.category) == 1
    demo = [each["name"] for each in by_seven if each["slug"] in ("bolos", "bombons", "tortas")]
    assert demo == ["Bolos", "Bombons e trufas", "Tortas e cheesecakes"]
