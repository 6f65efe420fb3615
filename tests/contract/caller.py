"""Sends operations by their names in the documents, and reads problem documents."""

from __future__ import annotations

import re
from typing import Any

import httpx

from tests.shop import Shop

ULID = "01JZZZZZZZZZZZZZZZZZZZZZZ1"
UNAUTHENTICATED = ("/problems/unauthenticated", "Authentication required", 401)


def problem(answer: httpx.Response, kind: str, title: str, status: int, detail: str) -> None:
    """The answer is exactly this problem document."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": kind,
        "title": title,
        "status": status,
        "detail": detail,
        "instance": answer.headers["x-request-id"],
    }


class Caller:
    """Sends a route with ids of things that exist."""

    def __init__(self, shop: Shop, ids: dict[str, Any]) -> None:
        self._shop = shop
        self._ids = ids

    def send(self, service: str, route: str, headers: dict[str, str], **to: Any) -> httpx.Response:
        method, path = route.split(" ")
        path = re.sub(r"\{(\w+)\}", lambda match: str(self._ids[match[1]]), path)
        body = {"json": {}} if method in ("POST", "PUT", "PATCH") else {}
        return self._shop.http.request(
            method, to.get("base", self._shop.stack.url) + path, headers=headers, **body
        )

    def direct(self, service: str, route: str, headers: dict[str, str]) -> httpx.Response:
        settings = self._shop.stack.settings
        port = {
            "catalog": settings.catalog_1_port,
            "cart": settings.cart_port,
            "orders": settings.orders_port,
        }[service]
        return self.send(service, route, headers, base=f"http://localhost:{port}")
