"""Promise 32: every operation of every document, with good and bad data, keeps to its document.

schemathesis makes the requests from the documents themselves: bounds and their neighbours, wrong
types, missing and unknown fields, methods that are not there, no credentials and wrong ones.
FEIRA_FULL=1 sends many more.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from dataclasses import dataclass
from typing import Any

import pytest
import requests
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.core.transport import Response
from schemathesis.specs.openapi.checks import (
    missing_required_header,
    negative_data_rejection,
    unsupported_method,
)

from tests.contract.services import document
from tests.shop import Account, Shop

EXAMPLES = 100 if os.environ.get("FEIRA_FULL") else 4
SERVICES = ("catalog", "cart", "orders")
# What a document cannot say: whether a thing is there, who may, whether an edit came too late.
STATE = ["401", "402", "403", "404", "409", "412", "429"]
CONFIG = {
    "seed": 28,
    "generation": {"max-examples": EXAMPLES, "deterministic": not os.environ.get("FEIRA_FULL")},
    # Not TRACE: nginx refuses it before it knows what an address would take.
    "phases": {"coverage": {"unexpected-methods": ["get", "put", "post", "delete", "patch"]}},
    "checks": {
        "negative_data_rejection": {
            "expected-statuses": [*STATE, "400", "405", "414", "415", "422", "428"]
        },
        "positive_data_acceptance": {"expected-statuses": ["2xx", *STATE]},
        "missing_required_header": {"expected-statuses": ["400", "401", "428"]},
        "not_a_server_error": {"expected-statuses": ["2xx", "3xx", "4xx"]},
    },
}
# What does not say anything there: a GET asks for the cart of this name, a list of numbers is sent
# as the very text that a valid one is, and a shop without other branches has no door for them.
UNDECIDABLE = {
    "/api/carrinho/sessao": [unsupported_method],
    "/internal/products": [negative_data_rejection],
    "/replica/event": [missing_required_header, unsupported_method],
}
MOST_BYTES_OF_A_PASSWORD = 72


@schemathesis.check
def every_error_is_a_problem(ctx: Any, response: Response, case: schemathesis.Case) -> None:
    """RFC 9457, with the request's id as `instance`, from the gateway and services alike."""
    (request_id,) = response.headers["x-request-id"]
    if response.status_code < 400:
        return
    assert response.headers["content-type"] == ["application/problem+json"]
    problem = response.json()
    assert problem["status"] == response.status_code
    # The gateway's cache hands out a 404 as it was made, for whoever asked first.
    cached = response.headers.get("x-cache-status", ["MISS"]) not in (["MISS"], ["BYPASS"])
    assert problem["instance"] == request_id or cached
    assert problem["title"]
    assert problem["detail"]
    assert re.fullmatch(r"about:blank|/problems/[a-z0-9-]+", problem["type"])


@dataclass
class World:
    """Things that exist, put in the place of made-up ones, so that requests get through.

    They are this test's own: what operators do at random must not meet the demo shop.
    """

    shop: Shop
    admin: Account
    customer: Account
    session: requests.Session
    products: list[int]
    user_id: str
    order_id: str

    def send(self, case: schemathesis.Case) -> None:
        """Send one request as who may send it, and hold the answer against the document."""
        self._make_real(case)
        security = case.operation.definition.raw.get("security") or [{}]
        base_url, headers = self.shop.stack.url, {}
        if "service" in security[0]:
            base_url = f"http://localhost:{self._port(case)}"
            headers = {"X-Service-Token": self.shop.stack.secrets.service_token}
        elif "bearer" in security[0]:
            caller = self.customer if security[0]["bearer"] == ["customer"] else self.admin
            headers = caller.headers
        case.call_and_validate(
            base_url=base_url,
            headers=headers,
            session=self.session,
            excluded_checks=UNDECIDABLE.get(case.operation.path, []),
        )

    def _port(self, case: schemathesis.Case) -> int:
        settings = self.shop.stack.settings
        return {
            "Feira: catalog": settings.catalog_2_port,
            "Feira: cart": settings.cart_port,
            "Feira: orders": settings.orders_port,
        }[case.operation.schema.raw_schema["info"]["title"]]

    def _make_real(self, case: schemathesis.Case) -> None:
        path = case.path_parameters
        edited, in_cart = self.products[:2]  # one may be taken out of the shop, one not
        for name in ("product_id", "produto_id"):
            if str(path.get(name, "")).isdecimal() and 0 < int(path[name]) < 2**53:
                path[name] = in_cart if "cart_id" in path else edited
        if _is_ulid(path.get("order_id")):
            path["order_id"] = self.order_id
        if _is_ulid(path.get("user_id")):
            path["user_id"] = self.user_id
        for name in ("cart_id", "session_id"):
            if re.fullmatch("[A-Za-z0-9_-]{24}", str(path.get(name, ""))):
                path[name] = self.shop.new_cart((in_cart, 1))
        if case.meta.generation.mode.is_positive:
            case.query.pop("cursor", None)  # any string is one to the document, but not to us
            if "Idempotency-Key" in case.headers:
                case.headers["Idempotency-Key"] = uuid.uuid4().hex
            if isinstance(case.body, dict):
                case.body = _without_floats(case.body)
                self._make_body_real(case.body)

    def _make_body_real(self, body: dict[str, Any]) -> None:
        for name, real in (("category_id", 1), ("product_id", self.products[2])):
            if name in body:
                body[name] = real
        if "items" in body:
            body["items"] = [
                line | {"product_id": product_id}
                for line, product_id in zip(body["items"], self.products, strict=False)
            ]
        if "cart_id" in body:
            body["cart_id"] = self.shop.new_cart((self.products[1], 1))
            body["payment"]["token"] = "tok_ok"
        if "password" in body:  # its limit is one of bytes, which no schema can state
            raw = body["password"].encode()[:MOST_BYTES_OF_A_PASSWORD]
            body["password"] = raw.decode("utf-8", "ignore")


def _without_floats(value: Any) -> Any:
    """The same JSON with 3 for 3.0, which JSON Schema does not tell apart, but we do."""
    if isinstance(value, dict):
        return {name: _without_floats(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_without_floats(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _is_ulid(value: Any) -> bool:
    return bool(re.fullmatch("[0-7][0-9A-HJKMNP-TV-Z]{25}", str(value)))


@pytest.fixture(scope="module")
def world(shop: Shop, admin: Account) -> World:
    session = requests.Session()
    session.trust_env = False
    products = [shop.new_product(stock=10**6)["id"] for _ in range(4)]
    customer = shop.new_user()
    order = shop.buy(customer, (products[0], 1))
    return World(shop, admin, customer, session, products, shop.new_user().id, order["id"])


def _schema(service: str) -> Any:
    config = SchemathesisConfig.from_dict(CONFIG)
    # As JSON and back, as a client gets it.
    return schemathesis.openapi.from_dict(json.loads(json.dumps(document(service))), config=config)


catalog, cart, orders = (_schema(service) for service in SERVICES)


@pytest.mark.promise(32)
@catalog.parametrize()
def test_the_catalog_keeps_to_its_document(case: schemathesis.Case, world: World) -> None:
    world.send(case)


@pytest.mark.promise(32)
@cart.parametrize()
def test_the_cart_keeps_to_its_document(case: schemathesis.Case, world: World) -> None:
    world.send(case)


@pytest.mark.promise(32)
@orders.parametrize()
def test_orders_keep_to_their_document(case: schemathesis.Case, world: World) -> None:
    world.send(case)


@pytest.mark.parametrize("service", SERVICES)
def test_the_gateway_serves_these_documents(shop: Shop, service: str) -> None:
    answer = shop.http.get(f"/openapi/{service}.json")

    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == document(service)


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_has_a_short_name_of_its_own(service: str) -> None:
    names = [
        operation["operationId"]
        for path in document(service)["paths"].values()
        for operation in path.values()
    ]
    assert len(names) == len(set(names))
    assert all(re.fullmatch("[a-z]+(_[a-z]+){0,2}", name) for name in names), names
