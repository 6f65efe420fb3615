"""Promise 27 over HTTP: a forged token is worth nothing, at the issuer and elsewhere."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.contract.caller import ULID, UNAUTHENTICATED, Caller, problem
from tests.shop import Account, Shop


@pytest.fixture(scope="module")
def owner(shop: Shop) -> Account:
    return shop.new_user()


@pytest.fixture(scope="module")
def order(shop: Shop, owner: Account) -> dict[str, Any]:
    return shop.buy(owner, (shop.new_product()["id"], 1))


@pytest.fixture
def caller(shop: Shop, owner: Account, order: dict[str, Any]) -> Any:
    """Sends requests that would change an order or its product, which must not happen."""
    product_id = order["items"][0]["product_id"]
    ids = {"order_id": order["id"], "product_id": product_id, "produto_id": product_id}
    yield Caller(shop, ids)
    assert shop.order(owner, order["id"]) == order
    assert shop.stock(product_id) == 9


def _b64(part: Any) -> str:
    raw = part if isinstance(part, bytes) else json.dumps(part).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any], str]:
    header, claims, signature = token.split(".")
    as_json = [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, claims)]
    return as_json[0], as_json[1], signature


FORGERIES: dict[str, Callable[[dict[str, Any], dict[str, Any], str], str]] = {
    "alg none": lambda h, c, s: f"{_b64(h | {'alg': 'none'})}.{_b64(c)}.",
    "alg none, signature kept": lambda h, c, s: f"{_b64(h | {'alg': 'none'})}.{_b64(c)}.{s}",
    "another algorithm": lambda h, c, s: f"{_b64(h | {'alg': 'HS256'})}.{_b64(c)}.{s}",
    "no signature": lambda h, c, s: f"{_b64(h)}.{_b64(c)}.",
    "edited role": lambda h, c, s: f"{_b64(h)}.{_b64(c | {'role': 'admin'})}.{s}",
    "edited user": lambda h, c, s: f"{_b64(h)}.{_b64(c | {'sub': ULID})}.{s}",
    "later expiry": lambda h, c, s: f"{_b64(h)}.{_b64(c | {'exp': c['exp'] + 9999})}.{s}",
    "hostile kid": lambda h, c, s: f"{_b64(h | {'kid': '../../dev/null'})}.{_b64(c)}.{s}",
    "kid that is a list": lambda h, c, s: f"{_b64(h | {'kid': ['a']})}.{_b64(c)}.{s}",
    "own jku": lambda h, c, s: (
        f"{_b64(h | {'jku': 'http://127.0.0.1:1/', 'kid': 'mine'})}.{_b64(c)}.{s}"
    ),
    "claims that are a list": lambda h, c, s: f"{_b64(h)}.{_b64([c])}.{s}",
    "header that is no JSON": lambda h, c, s: f"{_b64(b'{')}.{_b64(c)}.{s}",
    "two parts": lambda h, c, s: f"{_b64(h)}.{_b64(c)}",
    "nested a thousand deep": lambda h, c, s: f"{_b64(b'[' * 2000)}.{_b64(c)}.{s}",
    "garbage": lambda h, c, s: "x" * 100,
    "bytes that are no text": lambda h, c, s: "\xff\xfe.\xff.\xff",
    "too long": lambda h, c, s: "a" * 3900,
}


@pytest.mark.promise(27)
@pytest.mark.parametrize("forgery", FORGERIES)
def test_forged_tokens_are_worth_nothing(
    caller: Caller, owner: Account, operator: Account, forgery: str
) -> None:
    for user, service, route in (
        (owner, "orders", "GET /api/orders/{order_id}"),
        (operator, "orders", "POST /api/orders/{order_id}/status"),
        (operator, "catalog", "POST /api/products/{product_id}/stock-adjustments"),
        (operator, "catalog", "DELETE /api/products/{product_id}"),
        (operator, "catalog", "PUT /api/produtos/{produto_id}/estoque"),
    ):
        token = FORGERIES[forgery](*_parts(user.token))
        headers = {"Authorization": f"Bearer {token}".encode("latin-1")}
        answer = caller.send(service, route, headers)  # type: ignore[arg-type]
        problem(answer, *UNAUTHENTICATED, "The access token is not valid.")


def test_a_refresh_token_is_no_access_token(caller: Caller, owner: Account) -> None:
    headers = {"Authorization": f"Bearer {owner.refresh_token}"}
    answer = caller.send("orders", "GET /api/orders/{order_id}", headers)
    problem(answer, *UNAUTHENTICATED, "The access token is not valid.")
