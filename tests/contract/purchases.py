"""What becomes of orders and carts, as their customers and operators see it."""

from __future__ import annotations

import re
from typing import Any

import httpx

from tests.shop import Account, Shop

TIME = r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z"
ULID = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
BOUGHT = [
    ("validate", "succeeded"),
    ("reserve", "started"),
    ("reserve", "succeeded"),
    ("pay", "started"),
    ("pay", "succeeded"),
    ("confirm", "succeeded"),
]


def problem(answer: httpx.Response, slug: str, title: str, status: int, **members: Any) -> None:
    """The answer is exactly this problem document, and no cache keeps it."""
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    ), answer.text
    document = answer.json()
    assert document.pop("detail")
    assert document == {
        "type": f"/problems/{slug}",
        "title": title,
        "status": status,
        **members,
        "instance": answer.headers["x-request-id"],
    }
    assert answer.headers["cache-control"] == "no-store"


def orders_of(shop: Shop, user: Account, **parameters: Any) -> dict[str, Any]:
    """One page of a user's orders."""
    answer = shop.http.get("/api/orders", params=parameters, headers=user.headers)
    assert answer.status_code == 200, answer.text
    page: dict[str, Any] = answer.json()
    return page


def the_order_of(shop: Shop, user: Account) -> dict[str, Any]:
    """The only order of a user."""
    (order,) = orders_of(shop, user)["items"]
    found: dict[str, Any] = order
    return found


def cart(shop: Shop, cart_id: str) -> dict[int, int]:
    """Product → quantity of a cart."""
    items = shop.http.get(f"/api/carts/{cart_id}").json()["items"]
    return {item["product_id"]: item["quantity"] for item in items}


def timeline(shop: Shop, user: Account, order_id: str) -> list[tuple[str, str]]:
    """The steps of an order and their outcomes."""
    answer = shop.http.get(f"/api/orders/{order_id}/timeline", headers=user.headers)
    assert answer.status_code == 200, answer.text
    entries = answer.json()["items"]
    for entry in entries:
        assert list(entry) == ["step", "outcome", "attempt", "at", "detail"]
        assert re.fullmatch(TIME, entry["at"])
    assert [entry["at"] for entry in entries] == sorted(entry["at"] for entry in entries)
    return [(entry["step"], entry["outcome"]) for entry in entries]


def cancel(shop: Shop, user: Account, order_id: str) -> httpx.Response:
    """Ask for an order to be cancelled."""
    return shop.http.post(f"/api/orders/{order_id}/cancel", headers=user.headers)


def move(shop: Shop, order_id: str, status: str) -> httpx.Response:
    """Set the next status of an order, as the operator."""
    return shop.http.post(
        f"/api/orders/{order_id}/status", json={"status": status}, headers=shop.operator.headers
    )
