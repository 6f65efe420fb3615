"""Promises 34 and 35 beside the bodies, which tests/contract tries: queries, paths, headers, and
the price that is charged."""

from __future__ import annotations

import pytest

from tests.contract.bodies import refused
from tests.contract.database import rows
from tests.shop import Account, Shop

LISTS = ["/api/products", "/api/categories", "/api/orders", "/api/users"]


@pytest.mark.promise(34)
def test_the_charge_is_the_servers_price_at_that_moment(shop: Shop, customer: Account) -> None:
    product = shop.new_product(stock=5, price_cents=1000)
    cart = shop.new_cart((product["id"], 3))
    assert shop.http.get(f"/api/carts/{cart}").json()["total_cents"] == 3000
    dearer = shop.http.patch(
        f"/api/products/{product['id']}",
        json={"price_cents": 1700},
        headers={**shop.operator.headers, "If-Match": '"1"'},
    )
    assert dearer.status_code == 200

    answer = shop.checkout(customer, cart)

    order = answer.json()
    assert (answer.status_code, order["total_cents"]) == (201, 5100)
    assert order["items"][0]["unit_price_cents"] == 1700
    query = "SELECT amount_cents, currency, state FROM payments WHERE order_id = %(id)s"
    assert rows(shop, "orders", query, id=order["id"]) == [(5100, "BRL", "captured")]
    query = "SELECT amount_cents, currency, state FROM simulated_charges WHERE order_id = %(id)s"
    assert rows(shop, "orders", query, id=order["id"]) == [(5100, "BRL", "captured")]


@pytest.mark.parametrize("raw", ["%00", "%ED%A0%80", "%C0%80", "a%0Ab", "%E2%80%AE", "%FF", "%25"])
def test_hostile_paths_and_queries_find_nothing(shop: Shop, admin: Account, raw: str) -> None:
    gateway, orders = shop.stack.url, f"http://localhost:{shop.stack.settings.orders_port}"
    service = {"X-Service-Token": shop.stack.secrets.service_token}
    for url, headers in (
        (f"{gateway}/api/orders/{raw}", admin.headers),
        (f"{orders}/api/orders/{raw}", admin.headers),
        (f"{orders}/api/orders/{raw}/timeline", admin.headers),
        (f"{orders}/internal/orders/{raw}", service),
        (f"{gateway}/api/products/{raw}", {}),
        (f"{gateway}/api/products?cursor={raw}", {}),
        (f"{gateway}/api/orders?cursor={raw}", admin.headers),
        (f"{gateway}/api/orders?status={raw}", admin.headers),
        (f"{gateway}/api/users?cursor={raw}", admin.headers),
        (f"{gateway}/api/products?{raw}=1", {}),
        (f"{gateway}/api/carts/{raw}", {}),
    ):
        refused(shop.http.get(url, headers=headers), {400, 404, 422}, url)
    for url in (f"/api/products?q={raw}&category=none", f"/images/{raw}.svg"):
        assert shop.http.get(url).status_code in (200, 400, 404)
    for url in (f"/api/products?category={raw}", f"/api/products?category=bolos{raw}"):
        answer = shop.http.get(url)
        assert answer.status_code == 422 or answer.json() == {"items": [], "next_cursor": None}


@pytest.mark.promise(35)
@pytest.mark.parametrize("path", LISTS)
def test_a_page_has_at_most_a_hundred_rows(shop: Shop, admin: Account, path: str) -> None:
    get, headers = shop.http.get, admin.headers
    for limit in (0, -1, 101, 10**6, 10**30):
        problem = refused(get(path, params={"limit": limit}, headers=headers), 422)
        assert [fault["field"] for fault in problem["errors"]] == ["limit"]
    twice = get(f"{path}?limit=1&limit=1000000", headers=headers)
    assert len(twice.json()["items"]) == 1
    refused(get(f"{path}?limit=1000000&limit=1", headers=headers), 422)
    assert len(get(f"{path}?limit=100", headers=headers).json()["items"]) <= 100


@pytest.mark.parametrize("path", LISTS)
@pytest.mark.parametrize(
    "cursor",
    ["", "x", "AAAA", "bnVsbA", "W10", "WyJuYW1lIl0", "WyJuYW1lIiwxLDFd", "=" * 9, "A" * 1001, "ú"],
)
def test_a_cursor_that_is_none_of_the_list_is_refused(
    shop: Shop, admin: Account, path: str, cursor: str
) -> None:
    answer = shop.http.get(path, params={"cursor": cursor}, headers=admin.headers)
    problem = refused(answer, 422)
    assert [fault["field"] for fault in problem["errors"]] == ["cursor"]


@pytest.mark.parametrize("key", ["", "a b", "a\tb", "ü", "a" * 256])
def test_an_idempotency_key_is_visible_ascii(shop: Shop, customer: Account, key: str) -> None:
    cart = shop.new_cart((shop.new_product()["id"], 1))
    answer = shop.http.post(
        "/api/orders",
        json={"cart_id": cart, "payment": {"method": "card", "token": "tok_ok"}},
        headers={**customer.headers, "Idempotency-Key": key.encode("latin-1")},  # type: ignore[dict-item]
    )
    refused(answer, 400)
    assert shop.http.get("/api/orders", headers=customer.headers).json()["items"] == []


@pytest.mark.parametrize(
    "token", ["x", "catalog:", "catalog:0/0;DROP", "catalog:GG/1", "é", "," * 300]
)
def test_a_consistency_token_that_is_none_is_ignored(shop: Shop, token: str) -> None:
    for path in ("/api/products?limit=1", "/api/categories", f"/api/carts/{shop.new_cart()}"):
        headers = {"X-Consistency-Token": token.encode()}
        assert shop.http.get(path, headers=headers).status_code == 200


@pytest.mark.parametrize(
    "request_id", ["", "short", "a b c d e f", "x" * 65, "abcdefgh\xff", "<script>1"]
)
def test_a_request_id_that_is_none_is_replaced(shop: Shop, request_id: str) -> None:
    for path in ("/api/products?limit=1", "/api/orders", "/nowhere"):
        headers = {"X-Request-Id": request_id.encode("latin-1")}
        given = shop.http.get(path, headers=headers).headers["x-request-id"]
        assert given != request_id
        assert 8 <= len(given) <= 64
        assert given.isalnum()
