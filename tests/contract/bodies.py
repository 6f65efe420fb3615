"""Every operation that takes a body, with one that it accepts, and values that it must not."""

from __future__ import annotations

import copy
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

from tests.contract.database import rows
from tests.shop import ADDRESS, PASSWORD, Account, Shop

ULID = "01JZZZZZZZZZZZZZZZZZZZZZZ1"
JSON = {"Content-Type": "application/json"}
MEBIBYTE = 1024 * 1024
# Texts of JSON values; what a field takes after all is named where the field is.
NO_NUMBERS = [
    *("-1", "0", "1.5", '"1"', "true", "false", "1e9", "1.0", "[]", "{}", "[1]", '""', "1e400"),
    *(str(2**31), str(2**53), str(2**63), str(2**64), "NaN", "Infinity", "-Infinity", "9" * 5000),
]
UNREADABLE = {"NaN", "Infinity", "-Infinity", "9" * 5000}
EXTRA = ["price", "price_cents", "total", "total_cents", "role", "user_id", "status", "id", "é"]


@dataclass(frozen=True)
class Route:
    """An operation that takes a body, and one that it accepts.

    Attributes:
        numbers: dotted path of each quantity or price → the NO_NUMBERS that are fine there.
    """

    service: str
    method: str
    path: str
    body: dict[str, Any]
    numbers: dict[str, set[str]] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    of_service: bool = False

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"


NULL = {"null"}
BODIES = [
    Route(
        "catalog",
        "POST",
        "/api/products",
        {"sku": "SKU", "name": "Bolo", "category_id": 1, "price_cents": 100, "stock": 1},
        {"price_cents": set(), "stock": {"0"}, "category_id": {str(2**31)}},
    ),
    Route(
        "catalog",
        "PATCH",
        "/api/products/{product_id}",
        {"name": "Bolo", "price_cents": 100},
        {"price_cents": set()},
        {"If-Match": '"1.1"'},
    ),
    Route("catalog", "POST", "/api/categories", {"slug": "slug", "name": "Bolos"}),
    Route(
        "catalog",
        "POST",
        "/api/products/{product_id}/stock-adjustments",
        {"delta": 1, "reason": "contagem"},
        {"delta": {"-1"}},
    ),
    Route(
        "catalog",
        "PUT",
        "/api/produtos/{product_id}/estoque",
        {"operacao": "adicionar", "quantidade": 1},
        {"quantidade": set()},
    ),
    Route(
        "catalog",
        "POST",
        "/api/reservations",
        {"id": ULID, "items": [{"product_id": 1, "quantity": 1}], "ttl_seconds": 60},
        {"items.0.quantity": set(), "ttl_seconds": NULL},
        of_service=True,
    ),
    Route("cart", "POST", "/api/carts", {}),
    Route(
        "cart",
        "POST",
        "/api/carts/{cart_id}/items",
        {"product_id": 1, "quantity": 1},
        {"quantity": set()},
    ),
    Route(
        "cart",
        "PUT",
        "/api/carts/{cart_id}/items/{product_id}",
        {"quantity": 1},
        {"quantity": set()},
    ),
    Route("cart", "POST", "/api/carrinho/sessao", {}),
    Route(
        "cart",
        "POST",
        "/api/carrinho/{cart_id}/adicionar",
        {"produto_id": 1, "quantidade": 1},
        {"quantidade": set()},
    ),
    Route(
        "orders",
        "POST",
        "/api/orders",
        {
            "cart_id": "A" * 24,
            "payment": {"method": "card", "token": "tok_ok"},
            "shipping_address": ADDRESS,
        },
        headers={"Idempotency-Key": "bad-input"},
    ),
    Route("orders", "POST", "/api/orders/{order_id}/status", {"status": "preparing"}),
    Route(
        "orders",
        "POST",
        "/auth/register",
        {"email": "eva@example.com", "password": PASSWORD, "name": "Eva"},
    ),
    Route("orders", "POST", "/auth/login", {"email": "eva@example.com", "password": PASSWORD}),
    Route("orders", "POST", "/auth/refresh", {"refresh_token": "x"}),
    Route("orders", "POST", "/auth/logout", {"refresh_token": "x"}),
    Route(
        "orders",
        "POST",
        "/api/users",
        {"email": "eva@example.com", "password": PASSWORD, "name": "Eva", "role": "customer"},
    ),
    Route("orders", "PATCH", "/api/users/{user_id}", {"name": "Eva"}),
    Route(
        "catalog",
        "POST",
        "/api/stock-transfers",
        {"sku": "SKU", "to": "filial", "quantity": 1},
        {"quantity": set()},
    ),
    Route("orders", "PATCH", "/api/customers/{email}", {"name": "Eva"}),
]
NEEDED = [route for route in BODIES if route.body]
# Text that stands for nothing a person reads, or for something else than what he reads.
HOSTILE = {
    "lone surrogate": "a\ud800b",
    "NUL": "a\x00b",
    "control": "a\x1bb",
    "C1 control": "a\x85b",
    "line separator": "a\u2028b",
    "right-to-left override": "a\u202egnp.exe",
    "isolate": "a\u2066b",
    "huge": "a" * 500_000,
}
# Only text that is shown or looked up has to be harmless; of a secret only a hash is kept.
SECRETS = {"password", "refresh_token"}


@dataclass(frozen=True)
class Bench:
    """The services with a product, a cart and an order to aim at, and what became of them."""

    shop: Shop
    admin: Account
    ids: dict[str, Any]

    def send(self, route: Route, content: bytes, **headers: str) -> httpx.Response:
        base, sent = self.shop.stack.url, {**self.admin.headers, **route.headers, **JSON}
        if route.of_service:
            base = f"http://localhost:{self.shop.stack.settings.catalog_1_port}"
            sent["X-Service-Token"] = self.shop.stack.secrets.service_token
        url = base + route.path.format(**self.ids)
        return self.shop.http.request(route.method, url, content=content, headers=sent | headers)

    def state(self) -> dict[str, Any]:
        """All that a refused request could have changed."""
        product, user = self.ids["product_id"], self.ids["user_id"]
        return {
            "catalog": rows(
                self.shop,
                "catalog",
                "SELECT (SELECT count(*) FROM products), (SELECT count(*) FROM categories),"
                " (SELECT row_to_json(p) FROM products p WHERE id = %(id)s),"
                " (SELECT row_to_json(s) FROM stock s WHERE product_id = %(id)s),"
                " (SELECT count(*) FROM stock_movements WHERE product_id IN (1, %(id)s)),"
                f" (SELECT count(*) FROM reservations WHERE id = '{ULID}')",
                id=product,
            ),
            "orders": rows(
                self.shop,
                "orders",
                "SELECT (SELECT count(*) FROM orders), (SELECT count(*) FROM idempotency_keys),"
                " (SELECT count(*) FROM users), (SELECT row_to_json(o) FROM orders o"
                " WHERE user_id = %(id)s), (SELECT row_to_json(u) FROM users u WHERE id = %(id)s)",
                id=user,
            ),
            "cart": self.shop.http.get(f"/api/carts/{self.ids['cart_id']}").json()["items"],
        }


def refused(answer: httpx.Response, status: int | set[int], why: str = "") -> dict[str, Any]:
    """The problem document that an answer with this status must be."""
    allowed = {status} if isinstance(status, int) else status
    assert answer.status_code in allowed, f"{why}: {answer.status_code} {answer.text[:500]}"
    assert answer.headers["content-type"] == "application/problem+json", why
    problem: dict[str, Any] = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["instance"] == answer.headers["x-request-id"]
    assert problem["title"]
    assert problem["detail"]
    return problem


def with_text(body: dict[str, Any], place: str, text: str) -> bytes:
    """The body as JSON with this text, which need not be JSON, as the value of one field."""
    changed = copy.deepcopy(body)
    *way, last = [int(part) if part.isdigit() else part for part in place.split(".")]
    at: Any = changed
    for part in way:
        at = at[part]
    at[last] = "HERE"
    return json.dumps(changed).replace('"HERE"', text).encode()


def strings(body: dict[str, Any], way: str = "") -> Iterator[str]:
    """The dotted paths of all text in a body."""
    for name, value in body.items():
        if isinstance(value, dict):
            yield from strings(value, f"{way}{name}.")
        elif isinstance(value, str):
            yield f"{way}{name}"


def by_name(route: Route) -> str:
    return route.name
