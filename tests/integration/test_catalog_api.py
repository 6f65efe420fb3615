"""The catalog's contract: products, edits, stock, categories, tokens, caches.

Lists are in tests/contract/test_product_lists.py.
"""

from __future__ import annotations

import uuid
from typing import Any

import pytest

from tests.contract.shelf import NEWEST, Shelf, adjust, edit, problem, read
from tests.shop import Account, Shop


@pytest.fixture
def shelf(shop: Shop) -> Shelf:
    return Shelf(shop)


def test_a_product_is_created_and_read_whole(shop: Shop, shelf: Shelf) -> None:
    sku = f"T-{shelf.mark.upper()}"
    answer = shop.http.post(
        "/api/products",
        json={
            "sku": sku,
            "name": "Bolo de milho",
            "description": "Com coco.\nServe dez.",
            "category_id": shelf.category["id"],
            "price_cents": 4590,
            "stock": 10,
        },
        headers=shop.operator.headers,
    )

    product = answer.json()
    assert answer.status_code == 201
    assert list(product.items()) == [
        ("id", product["id"]),
        ("sku", sku),
        ("name", "Bolo de milho"),
        ("description", "Com coco.\nServe dez."),
        ("category", shelf.category),
        ("price_cents", 4590),
        ("currency", "BRL"),
        ("stock", 10),
        ("image_url", f"/images/{sku}.svg"),
        ("active", True),
        ("version", 1),
    ]
    assert answer.headers["location"] == f"/api/products/{product['id']}"
    assert answer.headers["etag"] == '"1.1"'
    assert answer.headers["x-consistency-token"].startswith("catalog:")
    again = read(shop, product)
    assert (again.status_code, again.json(), again.headers["etag"]) == (200, product, '"1.1"')
    picture = shop.http.get(product["image_url"])
    assert (picture.status_code, picture.headers["content-type"].split(";")[0]) == (
        200,
        "image/svg+xml",
    )


def test_what_may_be_left_out_of_a_product(shop: Shop, shelf: Shelf) -> None:
    url = "https://example.com/a.png"
    body = {"name": "Nu", "category_id": shelf.category["id"], "price_cents": 1, "image_url": url}
    answer = shop.http.post(
        "/api/products",
        json={"sku": f"T-{shelf.mark.upper()}", **body},
        headers=shop.operator.headers,
    )

    product = answer.json()
    assert (product["stock"], product["description"], product["image_url"]) == (0, "", url)


def test_a_sku_is_taken_once(shop: Shop, shelf: Shelf) -> None:
    product = shelf.put("Primeiro")

    answer = shop.http.post(
        "/api/products",
        json={"sku": product["sku"], "name": "x", "category_id": 1, "price_cents": 1},
        headers=shop.operator.headers,
    )

    detail = f"The sku {product['sku']} is taken."
    problem(answer, "already-exists", "Already exists", 409, detail)
    assert shelf.names() == ["Primeiro"]


@pytest.mark.parametrize("path", ["", "/stock"])
def test_no_such_product_is_404(shop: Shop, path: str) -> None:
    answer = shop.http.get(f"/api/products/999999999{path}", headers=NEWEST)
    detail = "There is no product 999999999."
    problem(answer, "product-not-found", "No such product", 404, detail)


def test_no_such_category_is_404_and_nothing_is_made(shop: Shop, shelf: Shelf) -> None:
    product = shelf.put("Fica")
    body = {"sku": f"T-{shelf.mark.upper()}", "name": "x", "price_cents": 1}
    made = shop.http.post(
        "/api/products",
        json={**body, "category_id": 999999999},
        headers=shop.operator.headers,
    )
    moved = edit(shop, product, category_id=999999999)

    for answer in (made, moved):
        detail = "There is no category 999999999."
        problem(answer, "category-not-found", "No such category", 404, detail)
    assert read(shop, product).json() == product


def test_a_product_read_before_is_304_until_it_changes(shop: Shop, shelf: Shelf) -> None:
    product = shelf.put("Muda", stock=5)
    etag = read(shop, product).headers["etag"]

    same = read(shop, product, **{"If-None-Match": etag})
    assert (same.status_code, same.content, same.headers["etag"]) == (304, b"", etag)
    assert read(shop, product, **{"If-None-Match": f'W/{etag}, "x"'}).status_code == 304
    assert read(shop, product, **{"If-None-Match": '"9.9"'}).status_code == 200
    adjust(shop, product, 1)
    sold = read(shop, product, **{"If-None-Match": etag})
    assert (sold.status_code, sold.headers["etag"], sold.json()["stock"]) == (200, '"1.2"', 6)


def test_an_edit_changes_what_it_names(shop: Shop, shelf: Shelf) -> None:
    product, elsewhere = shelf.put("Antes", stock=3), Shelf(shop)
    changes = {
        "name": "Depois",
        "description": "Nova",
        "category_id": elsewhere.category["id"],
        "price_cents": 999,
        "image_url": "/images/x.svg",
    }

    answer = edit(shop, product, '"1.1"', **changes)

    del changes["category_id"]
    expected = product | changes | {"category": elsewhere.category, "version": 2}
    assert (answer.status_code, answer.json()) == (200, expected)
    assert answer.headers["etag"] == '"2.1"'
    assert read(shop, product).json() == expected
    assert (shelf.names(), elsewhere.names()) == ([], ["Depois"])


def test_of_two_edits_of_one_version_the_second_is_412(shop: Shop, shelf: Shelf) -> None:
    product = shelf.put("Disputado")
    first = edit(shop, product, '"1.1"', name="Um")

    second = edit(shop, product, '"1.1"', name="Dois")

    assert first.status_code == 200
    problem(
        second,
        "edit-conflict",
        "The product was changed in between",
        412,
        "The product is at version 2, not 1.",
        version=2,
    )
    assert read(shop, product).json() == first.json()


def test_a_sale_does_not_break_an_edit(shop: Shop, shelf: Shelf, customer: Account) -> None:
    product = shelf.put("Vendido", stock=5)
    shop.buy(customer, (product["id"], 2))
    adjust(shop, product, 4)

    answer = edit(shop, product, '"1.1"', price_cents=700)

    assert (answer.status_code, answer.headers["etag"]) == (200, '"2.3"')
    assert (answer.json()["price_cents"], answer.json()["stock"]) == (700, 7)


def test_an_edit_without_if_match_is_428(shop: Shop, shelf: Shelf) -> None:
    product = shelf.put("Fica")

    answer = shop.http.patch(
        f"/api/products/{product['id']}", json={"name": "x"}, headers=shop.operator.headers
    )

    detail = "Send the product's ETag as If-Match."
    problem(answer, "precondition-required", "If-Match is required", 428, detail)
    assert read(shop, product).json() == product


@pytest.mark.parametrize("etag", ["1", '"x"', "*", '""', '"1.1.1"', '"-1"', '"1", "2"', '"٣"'])
def test_an_if_match_that_is_no_etag_of_the_product_is_412(
    shop: Shop, shelf: Shelf, etag: str
) -> None:
    product = shelf.put("Fica")
    answer = shop.http.patch(
        f"/api/products/{product['id']}",
        json={"name": "x"},
        headers={**shop.operator.headers, "If-Match": etag.encode()},  # type: ignore[dict-item]
    )
    assert answer.status_code == 412, answer.text
    assert answer.json()["type"] == "/problems/edit-conflict"
    assert read(shop, product).json() == product


def test_a_weak_etag_is_taken_by_the_gateway_which_made_it_weak(shop: Shop, shelf: Shelf) -> None:
    assert edit(shop, shelf.put("Fraco"), 'W/"1.1"', name="Forte").status_code == 200


@pytest.mark.parametrize("body", [{}, {"name": None}, {"name": "x", "price_cents": None}])
def test_an_edit_names_something_and_no_null(
    shop: Shop, shelf: Shelf, body: dict[str, Any]
) -> None:
    product = shelf.put("Fica")
    answer = edit(shop, product, **body)
    message = "name at least one field, and no null"
    assert (answer.status_code, answer.json()["errors"]) == (
        422,
        [{"field": "body", "message": message}],
    )
    assert read(shop, product).json() == product


def test_a_product_taken_out_is_still_there_but_not_in_lists(
    shop: Shop, shelf: Shelf, customer: Account
) -> None:
    product = shelf.put("Some")
    path = f"/api/products/{product['id']}"
    cart = shop.new_cart((product["id"], 1))

    for _ in range(2):  # repeating it is fine, and is no other version
        answer = shop.http.delete(path, headers=shop.operator.headers)
        assert (answer.status_code, answer.content) == (204, b"")

    assert shelf.names() == []
    assert read(shop, product).json() == product | {"active": False, "version": 2}
    stock = shop.http.get(f"{path}/stock", headers=NEWEST).json()
    assert (stock["available"], stock["stock"]) == (False, 10)
    assert shop.checkout(customer, cart).status_code == 409
    back = edit(shop, {"id": product["id"], "version": 2}, active=True)
    assert back.json() == product | {"version": 3}
    assert shelf.names() == ["Some"]


@pytest.mark.parametrize("field", ["slug", "name"])
def test_a_category_is_there_once(shop: Shop, shelf: Shelf, field: str) -> None:
    fresh = uuid.uuid4().hex
    body = {"slug": fresh, "name": fresh} | {field: shelf.category[field]}

    answer = shop.http.post("/api/categories", json=body, headers=shop.operator.headers)

    detail = f"The category {body['slug']} or its name exists already."
    problem(answer, "already-exists", "Already exists", 409, detail)


def test_reads_with_the_token_of_a_write_see_it(shop: Shop, shelf: Shelf) -> None:
    product = shelf.put("Muda", stock=0)
    path = f"/api/products/{product['id']}"
    for n in range(1, 41):
        written = adjust(shop, product, 1)
        token = {"X-Consistency-Token": written.headers["x-consistency-token"]}
        assert shop.http.get(path, headers=token).json()["stock"] == n
        assert shop.http.get(f"{path}/stock", headers=token).json()["stock"] == n
        page = shop.http.get(
            "/api/products", params={"category": shelf.category["slug"]}, headers=token
        )
        assert [item["stock"] for item in page.json()["items"]] == [n]


def test_the_token_of_one_service_among_others_counts(shop: Shop, shelf: Shelf) -> None:
    product = shelf.put("Muda", stock=0)
    for n in range(1, 11):
        token = adjust(shop, product, 1).headers["x-consistency-token"]
        headers = {"X-Consistency-Token": f"orders:0/1, {token}"}
        answer = shop.http.get(f"/api/products/{product['id']}", headers=headers)
        assert answer.json()["stock"] == n


def test_reads_are_done_on_the_standby(shop: Shop) -> None:
    replication = shop.http.get("/status").json()["catalog"]["replication"]
    assert replication["read_from"] == "standby"
    assert replication["standbys"] == 1
    cluster = shop.stack.cluster
    assert replication["primary"] == f"port {cluster.nodes[cluster.primary()].port}"


def test_public_reads_may_be_cached_and_those_of_users_may_not(shop: Shop, shelf: Shelf) -> None:
    path = f"/api/products/{shelf.put('Cache')['id']}"
    anonymous = shop.http.get(path)
    assert anonymous.headers["cache-control"] == "no-cache"
    mine = shop.http.get(path, headers=shop.operator.headers)
    assert (mine.headers["cache-control"], mine.headers["x-cache-status"]) == (
        "no-store",
        "BYPASS",
    )


def test_a_request_id_is_echoed_and_otherwise_made(shop: Shop) -> None:
    for path in ("/api/products", "/api/produtos/999999999", "/api/nowhere", "/health"):
        given = uuid.uuid4().hex
        assert shop.http.get(path, headers={"X-Request-Id": given}).headers["x-request-id"] == given
        assert len(shop.http.get(path).headers["x-request-id"]) >= 8


@pytest.mark.parametrize("url", ["//evil.example/x.svg", "http://evil.example/x.svg", "x.svg"])
def test_a_picture_is_ours_or_comes_by_https(shop: Shop, url: str) -> None:
    body = {"sku": "T-PICTURE", "name": "Nu", "category_id": 1, "price_cents": 1, "image_url": url}
    answer = shop.http.post("/api/products", json=body, headers=shop.operator.headers)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "image_url")
