"""Stock as it is asked for, and as operators change it by hand."""

from __future__ import annotations

from tests.contract.database import rows
from tests.contract.shelf import NEWEST, Shelf, adjust, problem, read
from tests.shop import Shop


def test_stock_says_whether_so_many_are_there(shop: Shop, shelf: Shelf) -> None:
    product = shelf.put("Conta", stock=5)
    adjust(shop, product, 5)
    path = f"/api/products/{product['id']}/stock"

    for asked, requested, available in (("", 1, True), ("?quantity=10", 10, True)):
        assert shop.http.get(path + asked, headers=NEWEST).json() == {
            "product_id": product["id"],
            "requested": requested,
            "available": available,
            "stock": 10,
            "branches": [{"branch": "matriz", "stock": 10, "version": 2}],
        }
    assert shop.http.get(f"{path}?quantity=11", headers=NEWEST).json()["available"] is False


def test_a_product_that_is_only_just_there_has_its_stock_with_it(shop: Shop, shelf: Shelf) -> None:
    # Without a token the standby is asked, which may not have it yet.
    for _ in range(10):
        product = shelf.put("Novo", stock=5)
        path = f"/api/products/{product['id']}/stock"
        answer = shop.http.get(path, headers=shop.operator.headers).json()
        assert answer["branches"] == [{"branch": "matriz", "stock": 5, "version": 1}]


def test_stock_is_adjusted_by_hand_and_the_ledger_says_why(shop: Shop, shelf: Shelf) -> None:
    product = shelf.put("Conta", stock=5)

    more = adjust(shop, product, 7, "entrada")
    less = adjust(shop, product, -12, "quebra")

    assert (more.status_code, more.json()) == (201, product | {"stock": 12})
    assert (less.status_code, less.json(), less.headers["etag"]) == (
        201,
        product | {"stock": 0},
        '"1.3"',
    )
    query = (
        "SELECT branch, delta, kind, reference FROM stock_movements"
        " WHERE product_id = %(id)s ORDER BY id"
    )
    assert rows(shop, "catalog", query, id=product["id"]) == [
        ("matriz", 5, "supply", "first supply"),
        ("matriz", 7, "adjust", "entrada"),
        ("matriz", -12, "adjust", "quebra"),
    ]


def test_stock_never_goes_below_nothing(shop: Shop, shelf: Shelf) -> None:
    product = shelf.put("Conta", stock=5)

    answer = adjust(shop, product, -6)

    problem(
        answer,
        "insufficient-stock",
        "Not enough in stock",
        409,
        f"Not enough in stock of product {product['id']}.",
        lines=[{"product_id": product["id"], "requested": 6, "available": 5}],
    )
    assert read(shop, product).headers["etag"] == '"1.1"'
    query = "SELECT count(*) FROM stock_movements WHERE product_id = %(id)s"
    assert rows(shop, "catalog", query, id=product["id"]) == [(1,)]


def test_an_adjustment_of_nothing_is_refused(shop: Shop, shelf: Shelf) -> None:
    answer = adjust(shop, shelf.put("Conta"), 0)
    assert (answer.status_code, answer.json()["errors"]) == (
        422,
        [{"field": "delta", "message": "must not be 0"}],
    )
