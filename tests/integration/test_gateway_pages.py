"""What the gateway answers by itself: health, status of all services, documents and pages."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator

import httpx
import pytest

from tests.gateway_rig import Rig, running_gateway
from tests.stand_in import Answer, HangUp

DOCS_POLICY = (
    "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
STOREFRONT_POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
POLICIES = {"/": STOREFRONT_POLICY, "/console": STOREFRONT_POLICY, "/docs/": DOCS_POLICY}


@pytest.fixture(scope="module")
def shared_rig() -> Iterator[Rig]:
    # More than the slowest part of /status may take, or the gateway gives its client up.
    with running_gateway(CLIENT_TIMEOUT_SECONDS="5") as rig:
        yield rig


@pytest.fixture
def rig(shared_rig: Rig) -> Rig:
    shared_rig.reset()
    return shared_rig


@pytest.fixture
def client(rig: Rig) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=rig.url) as client:
        yield client


def test_health_needs_no_service(rig: Rig, client: httpx.Client) -> None:
    response = client.get("/health")
    assert (response.status_code, response.json()) == (200, {"status": "ok"})
    assert response.headers["cache-control"] == "no-store"
    assert rig.catalog_arrivals() + rig.cart.arrivals + rig.orders.arrivals == []


def test_status_gathers_all_services(rig: Rig, client: httpx.Client) -> None:
    rig.orders.respond = lambda _: Answer(body=b'{"orders": 3}')
    response = client.get("/status")
    body = response.json()
    assert response.headers["content-type"] == "application/json"
    assert response.headers["cache-control"] == "no-store"
    assert body.pop("gateway")["status"] == "ok"
    assert body == {
        "catalog": {"from": "service"},
        "cart": {"from": "service"},
        "orders": {"orders": 3},
    }
    assert [arrival.target for arrival in rig.orders.arrivals] == ["/status"]


def test_status_is_valid_and_quick_when_services_fail(rig: Rig, client: httpx.Client) -> None:
    # Given one that hangs up, one that answers a page of HTML, and one that is too slow
    rig.catalog_says(lambda _: HangUp())
    rig.cart.respond = lambda _: Answer(500, b"<html>", content_type="text/html")
    rig.orders.respond = lambda _: Answer(delay=2.5)
    started = time.monotonic()
    response = client.get("/status")
    seconds = time.monotonic() - started
    body = response.json()
    assert response.status_code == 200
    assert seconds < 2.5
    assert {name: part["status"] for name, part in body.items()} == {
        "gateway": "ok",
        "catalog": 503,
        "cart": 500,
        "orders": 504,
    }
    assert body["catalog"]["instance"] == response.headers["x-request-id"]


def test_openapi_documents_are_listed_and_served(rig: Rig, client: httpx.Client) -> None:
    documents = client.get("/openapi.json").json()
    assert documents == {
        "catalog": "/openapi/catalog.json",
        "cart": "/openapi/cart.json",
        "orders": "/openapi/orders.json",
    }
    for path in documents.values():
        assert client.get(path).json() == {"from": "service"}
    arrived = [*rig.catalog_arrivals(), *rig.cart.arrivals, *rig.orders.arrivals]
    assert [arrival.target for arrival in arrived] == ["/openapi.json"] * 3


@pytest.mark.parametrize("start", POLICIES)
def test_a_page_and_all_it_loads_is_local(client: httpx.Client, start: str) -> None:
    page = client.get(start)
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert page.headers.get_list("content-security-policy") == [POLICIES[start]]
    assert "<style" not in page.text
    assert re.search(r"<script(?![^>]*src=)", page.text) is None
    parts = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    parts = [part for part in parts if not part.startswith("#")]
    assert parts
    kinds = {
        "js": "text/javascript",
        "css": "text/css",
        "svg": "image/svg+xml",
        "woff2": "font/woff2",
    }
    for part in parts:
        loaded = client.get(part)
        assert loaded.status_code == 200
        kind = loaded.headers["content-type"].split(";")[0]
        assert kind == kinds.get(part.rpartition(".")[2], kind)


def test_every_view_of_the_storefront_is_its_page(client: httpx.Client) -> None:
    shop, console = client.get("/").text, client.get("/console").text
    assert shop != console
    for path in ("/products/83", "/orders", "/orders/01M7YCGVK13HVM6AC12V7AEX3X", "/checkout"):
        assert client.get(path).text == shop
    for path in ("/console/", "/console/products/83", "/console/parts"):
        assert client.get(path).text == console
    for path in (
        "/index.html",
        "/console.html",
        "/product",
        "/consoles",
        "/assets/",
        "/assets/none",
    ):
        assert client.get(path).status_code == 404


def test_a_file_that_is_known_costs_a_304(client: httpx.Client) -> None:
    for path in ("/", "/console", "/assets/feira.css", "/assets/shop/main.js", "/assets/feira.svg"):
        answer = client.get(path)
        assert answer.headers["cache-control"] == "no-cache"
        again = client.get(path, headers={"If-None-Match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        other = client.get(path, headers={"If-None-Match": '"0-0"'})
        assert (other.status_code, other.content) == (200, answer.content)


def test_docs_without_its_slash_leads_to_docs(client: httpx.Client) -> None:
    response = client.get("/docs")
    assert (response.status_code, response.headers["location"]) == (308, "/docs/")


def test_text_is_compressed_but_tokens_are_not(rig: Rig, client: httpx.Client) -> None:
    rig.orders.respond = lambda _: Answer(body=b'"' + b"a" * 4000 + b'"')
    assert client.get("/docs/swagger/css/swagger-ui.css").headers["content-encoding"] == "gzip"
    assert client.get("/api/orders").headers["content-encoding"] == "gzip"
    assert "content-encoding" not in client.post("/auth/login").headers
    assert "content-encoding" not in client.post("/auth/refresh").headers
