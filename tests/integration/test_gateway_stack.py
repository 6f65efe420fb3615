"""The gateway in front of the real services."""

from __future__ import annotations

import uuid

import httpx
import pytest

from local.stack import Stack


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/reservations"),
        ("POST", "/api/reservations/01J/commit"),
        ("DELETE", "/api/reservations/01J"),
        ("POST", "//api/%72eservations"),
        ("GET", "/internal/products?ids=1"),
        ("GET", "/internal/revocations"),
        ("GET", "/metrics"),
        ("GET", "/ready"),
    ],
)
def test_what_is_between_services_is_not_reachable_even_with_their_token(
    stack: Stack, http: httpx.Client, method: str, path: str
) -> None:
    token = {"X-Service-Token": stack.secrets.service_token}
    response = http.request(method, path, headers=token, json={})
    assert response.status_code == 404
    assert response.json() == {
        "type": "/problems/not-found",
        "title": "Not found",
        "status": 404,
        "detail": "There is nothing at this address.",
        "instance": response.headers["x-request-id"],
    }


def test_a_client_with_the_service_token_is_no_service(stack: Stack, http: httpx.Client) -> None:
    token = {"X-Service-Token": stack.secrets.service_token}
    assert http.get("/api/users", headers=token).status_code == 401


def test_status_shows_all_services(http: httpx.Client) -> None:
    body = http.get("/status").json()
    assert set(body) == {"gateway", "catalog", "cart", "orders"}
    assert not [name for name, part in body.items() if "title" in part]


@pytest.mark.parametrize("service", ["catalog", "cart", "orders"])
def test_each_service_describes_itself(http: httpx.Client, service: str) -> None:
    document = http.get(f"/openapi/{service}.json").json()
    assert document["openapi"].startswith("3.")
    assert document["paths"]
    # What the document offers to try has to work from the page that shows it.
    for server in document.get("servers", []):
        assert server["url"].startswith("/")


def test_product_reads_are_cached_for_a_moment(http: httpx.Client) -> None:
    query = {"q": uuid.uuid4().hex}
    first, second = (http.get("/api/products", params=query) for _ in range(2))
    assert [r.headers["x-cache-status"] for r in (first, second)] == ["MISS", "HIT"]
    assert first.json() == second.json() == {"items": [], "next_cursor": None}
    assert first.headers["x-request-id"] != second.headers["x-request-id"]


def test_an_unchanged_product_is_304_past_the_cache_too(http: httpx.Client) -> None:
    listed = http.get("/api/products", params={"limit": 1}).json()["items"][0]
    path = f"/api/products/{listed['id']}"
    tag = http.get(path).headers["etag"]
    for personal in ({}, {"X-Consistency-Token": "catalog:0/1"}):
        unchanged = http.get(path, headers={"If-None-Match": tag, **personal})
        assert (unchanged.status_code, unchanged.content) == (304, b"")


def test_a_picture_is_an_svg_that_cannot_act(http: httpx.Client) -> None:
    picture = http.get("/images/BOL-CENOURA-01.svg")
    assert picture.status_code == 200
    assert picture.headers["content-type"].startswith("image/svg+xml")
    assert "sandbox" in picture.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/api/products", "/api/carts/unknown", "/auth/me", "/nothing"])
def test_a_clients_request_id_comes_back_from_every_service(http: httpx.Client, path: str) -> None:
    request_id = uuid.uuid4().hex
    response = http.get(path, headers={"X-Request-Id": request_id})
    assert response.headers.get_list("x-request-id") == [request_id]
    if response.is_error:
        assert response.json()["instance"] == request_id


def test_https_serves_the_shop(stack: Stack) -> None:
    with httpx.Client(base_url=stack.tls_url, verify=False, trust_env=False) as client:
        response = client.get("/api/categories")
    assert response.status_code == 200
    assert response.headers["strict-transport-security"] == "max-age=31536000"
