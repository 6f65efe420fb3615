"""One request's id finds every line of a purchase; metrics of all processes are in one place."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from local.stack import Stack
from tests.async_orders.rig import ended, take
from tests.shop import ADDRESS, Account, Shop, wait_until

Line = tuple[str, dict[str, Any]]

# Who says what of a purchase (`event` of a line, or the status that the gateway answered).
EITHER_WAY = {
    ("cart", "request"),
    ("catalog", "request"),
    ("orders", "request"),
    ("orders-background", "published"),
    ("catalog-background", "published"),
    ("catalog-background", "reservation_settled"),
    ("cart-background", "cart_settled"),
    ("orders-background", "mail_sent"),
}
SYNCHRONOUS = EITHER_WAY | {("gateway", "201")}
ASYNCHRONOUS = EITHER_WAY | {
    ("gateway", "202"),
    ("orders-background", "enqueued"),
    ("orders-worker", "worked"),
}


def lines(stack: Stack, wanted: str) -> list[Line]:
    """The lines that hold a word, with the process that wrote each."""
    return [
        (path.stem, json.loads(line))
        for path in stack.settings.logs.glob("*.log")
        for line in path.read_text("utf-8", "replace").splitlines()
        if wanted in line and line.endswith("}")
    ]


def hops(found: list[Line]) -> set[tuple[str, str]]:
    """(process, what it says); the catalog's two instances are one."""
    return {
        (re.sub(r"-\d$", "", process), str(line.get("event", line.get("status"))))
        for process, line in found
    }


@contextmanager
def as_one_request(shop: Shop) -> Iterator[str]:
    """Send what the block sends under one request id."""
    request_id = f"test-{uuid.uuid4().hex}"
    shop.http.headers["X-Request-Id"] = request_id
    try:
        yield request_id
    finally:
        del shop.http.headers["X-Request-Id"]


@pytest.mark.parametrize(
    ("way", "status", "expected"), [(take, 202, ASYNCHRONOUS), (Shop.checkout, 201, SYNCHRONOUS)]
)
def test_one_request_id_is_in_the_lines_of_every_hop(
    stack: Stack, shop: Shop, way: Any, status: int, expected: set[tuple[str, str]]
) -> None:
    user = shop.new_user(name="Zuleica Quintanilha")
    cart_id = shop.new_cart((shop.new_product(stock=3)["id"], 2))
    address = ADDRESS | {"recipient": "Zuleica Q.", "street": "Rua Inconfundível"}

    with as_one_request(shop) as request_id:
        answer = way(shop, user, cart_id, shipping_address=address)
    assert (answer.status_code, answer.headers["x-request-id"]) == (status, request_id)
    order_id = answer.json()["id"]
    ended(shop, user, order_id)

    # A mail is sent on behalf of its event; the other lines name the request themselves.
    wait_until(
        lambda: hops(lines(stack, request_id) + lines(stack, order_id)) >= expected, seconds=15
    )
    of_request = hops(lines(stack, request_id))
    assert expected - of_request == {("orders-background", "mail_sent")}
    # The order is named by everybody who works on it, and each event by whoever handles it.
    saying = [(p, e) for p, e in lines(stack, order_id) if e.get("order") == order_id]
    assert expected - hops(saying) <= {("cart", "request"), ("gateway", str(status))} | {
        (f"{service}-background", "published") for service in ("orders", "catalog")
    }
    settled = [e for _, e in saying if e["event"] in ("reservation_settled", "cart_settled")]
    assert settled and all(re.fullmatch("[0-9A-Z]{26}", e["event_id"]) for e in settled)
    every = "".join(path.read_text("utf-8", "replace") for path in stack.settings.logs.iterdir())
    for personal in (user.email, user.name, "Zuleica", "Inconfund", user.token, "tok_ok", cart_id):
        assert personal not in every


def metrics(stack: Stack, instance: str) -> dict[str, float]:
    """What an instance shows: name with labels → value."""
    text = httpx.get(f"{stack.services.url(instance)}/metrics", trust_env=False).text
    samples = (line.rpartition(" ") for line in text.splitlines() if not line.startswith("#"))
    return {name: float(value) for name, _, value in samples}


def test_the_metrics_of_an_instance_hold_those_of_its_background_and_its_workers(
    stack: Stack, shop: Shop, customer: Account
) -> None:
    product = shop.new_product(stock=2)["id"]
    mine = [
        ("orders", 'feira_order_seconds_count{mode="asynchronous",status="confirmed"}'),
        ("orders", 'feira_order_seconds_count{mode="synchronous",status="failed"}'),
        ("orders", 'feira_events_total{consumer="orders",outcome="handled",type="order.placed"}'),
        ("cart", 'feira_event_delay_seconds_count{consumer="cart"}'),
        ("orders", 'feira_saga_steps_total{outcome="succeeded",step="validate"}'),
    ]
    before = {key: metrics(stack, key[0]).get(key[1], 0.0) for key in mine}
    conflicts = "feira_stock_conflicts_total"
    refused = sum(metrics(stack, name)[conflicts] for name in ("catalog-1", "catalog-2"))

    two_at_once = [shop.new_cart((product, 2)) for _ in range(2)]
    ended(shop, customer, take(shop, customer, two_at_once[0]).json()["id"])
    assert shop.checkout(customer, two_at_once[1]).status_code == 409

    wait_until(lambda: all(metrics(stack, k[0]).get(k[1], 0.0) > before[k] for k in mine))
    now = sum(metrics(stack, name)[conflicts] for name in ("catalog-1", "catalog-2"))
    assert now == refused + 1
    for instance, database in (("catalog-1", "catalog"), ("orders", "orders")):
        wait_until(lambda i=instance, d=database: _measured(metrics(stack, i), d))  # type: ignore[misc]
    assert metrics(stack, "cart")['feira_circuit_state{target="catalog"}'] == 0.0
    assert shop.http.get("/metrics").status_code == 404


def _measured(found: dict[str, float], database: str) -> bool:
    size = found[f'feira_pool_size{{database="{database}",pool="primary"}}']
    in_use = found[f'feira_pool_in_use{{database="{database}",pool="primary"}}']
    sink = f'{{service="{database}",sink="bus"}}'
    waits = [found.get(f"feira_outbox_{name}{sink}") for name in ("pending", "lag_seconds")]
    # Of the instance and its background process at least; the relay holds one all the time.
    return size >= 16 and 1 <= in_use <= size and waits == [0.0, 0.0]
