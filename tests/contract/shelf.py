"""A shelf of products of a test's own, and what operators do with them."""

from __future__ import annotations

import uuid
from typing import Any

import httpx

from tests.shop import Shop

# A position that no standby has reached: the read is done on the primary, past every cache.
NEWEST = {"X-Consistency-Token": "catalog:FFFFFFFF/FFFFFFFF"}


def problem(
    answer: httpx.Response, slug: str, title: str, status: int, detail: str, **extra: Any
) -> None:
    """The answer is exactly this problem document."""
    assert (answer.status_code, answer.headers["content-type"]) == (
        status,
        "application/problem+json",
    ), answer.text
    assert answer.json() == {
        "type": f"/problems/{slug}",
        "title": title,
        "status": status,
        "detail": detail,
        **extra,
        "instance": answer.headers["x-request-id"],
    }


class Shelf:
    """A category of this test's own, so that its lists hold nothing else."""

    def __init__(self, shop: Shop) -> None:
        self.shop = shop
        self.mark = uuid.uuid4().hex[:10]
        body = {"slug": f"s-{self.mark}", "name": f"Prateleira {self.mark}"}
        answer = shop.http.post("/api/categories", json=body, headers=shop.operator.headers)
        assert answer.status_code == 201, answer.text
        self.category: dict[str, Any] = answer.json()

    def put(self, name: str, **fields: Any) -> dict[str, Any]:
        """Add a product to this shelf."""
        return self.shop.new_product(name=name, category_id=self.category["id"], **fields)

    def page(self, **parameters: Any) -> dict[str, Any]:
        """One page of this shelf."""
        answer = self.shop.http.get(
            "/api/products",
            params={"category": self.category["slug"], **parameters},
            headers=NEWEST,
        )
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def names(self, **parameters: Any) -> list[str]:
        """The names of the first page, which is to be the last one."""
        page = self.page(**parameters)
        assert page["next_cursor"] is None
        return [product["name"] for product in page["items"]]


def edit(
    shop: Shop, product: dict[str, Any], etag: str | None = None, **fields: Any
) -> httpx.Response:
    """PATCH a product, by default as it was read."""
    tag = f'"{product["version"]}"' if etag is None else etag
    return shop.http.patch(
        f"/api/products/{product['id']}",
        json=fields,
        headers={**shop.operator.headers, "If-Match": tag},
    )


def adjust(shop: Shop, product: dict[str, Any], delta: int, why: str = "teste") -> httpx.Response:
    """Add or take units by hand."""
    return shop.http.post(
        f"/api/products/{product['id']}/stock-adjustments",
        json={"delta": delta, "reason": why},
        headers=shop.operator.headers,
    )


def read(shop: Shop, product: dict[str, Any], **headers: str) -> httpx.Response:
    """The product as it is now."""
    return shop.http.get(f"/api/products/{product['id']}", headers={**NEWEST, **headers})
