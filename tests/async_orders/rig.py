"""What the tests of asynchronous orders share: taking orders, waiting for them, watching them."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from local.stack import Stack
from orders.infrastructure import make_ports
from orders.ports import Ports
from orders.settings import Settings
from tests.race.rig import FULL, rows
from tests.shop import Account, Shop, wait_until

# Seconds of every day are few; what rests on the same code as a quicker test waits for this run.
in_full = pytest.mark.skipif(not FULL, reason="takes long, and a quicker test is near: make race")

ENDED = ("confirmed", "failed", "cancelled")
# What the log of an order says whose checkout met nothing unusual.
TAKEN_AND_BOUGHT = [
    ("accept", "succeeded"),
    ("validate", "succeeded"),
    ("reserve", "started"),
    ("reserve", "succeeded"),
    ("pay", "started"),
    ("pay", "succeeded"),
    ("confirm", "succeeded"),
]


def take(
    shop: Shop,
    user: Account,
    cart_id: str,
    *,
    token: str = "tok_ok",
    key: str | None = None,
    prefer: str = "respond-async",
    **extra: Any,
) -> httpx.Response:
    """Ask for an order to be taken now and checked out later."""
    return shop.http.post(
        "/api/orders",
        json={"cart_id": cart_id, "payment": {"method": "card", "token": token}, **extra},
        headers={**user.headers, "Idempotency-Key": key or uuid.uuid4().hex, "Prefer": prefer},
    )


def taken(shop: Shop, user: Account, *lines: tuple[int, int], token: str = "tok_ok") -> str:
    """An order of these lines that was taken; its id."""
    answer = take(shop, user, shop.new_cart(*lines), token=token)
    assert answer.status_code == 202, answer.text
    order_id: str = answer.json()["id"]
    return order_id


def ended(shop: Shop, user: Account, order_id: str, seconds: float = 45) -> dict[str, Any]:
    """The order once its checkout is over."""

    def look() -> dict[str, Any] | None:
        order = shop.order(user, order_id)
        return order if order["status"] in ENDED else None

    found = wait_until(look, seconds)
    assert found is not None
    return found


def wait_all_ended(stack: Stack, user: Account, seconds: float) -> dict[str, int]:
    """Wait until no order of a user is unfinished; how many there are of each status."""
    unfinished = "SELECT 1 FROM orders WHERE user_id = %s AND step <> 'done' LIMIT 1"
    wait_until(lambda: not rows(stack, "orders", unfinished, user.id), seconds)
    count = "SELECT status, count(*) FROM orders WHERE user_id = %s GROUP BY status"
    return dict(rows(stack, "orders", count, user.id))  # type: ignore[arg-type]


def charged(stack: Stack, user: Account) -> dict[str, int]:
    """Orders of a user whose money was taken and kept, in our books and in the provider's."""
    count = (
        "SELECT count(*) FROM {} p JOIN orders o ON o.id = p.order_id"
        " WHERE o.user_id = %s AND p.state = 'captured'"
    )
    return {
        table: rows(stack, "orders", count.format(table), user.id)[0][0]
        for table in ("payments", "simulated_charges")
    }


@dataclass(frozen=True)
class Sent:
    """One event of a stream."""

    name: str
    id: str | None
    data: dict[str, Any]


@contextmanager
def watching(
    base_url: str, user: Account, order_id: str, last_seen: str | None = None, seconds: float = 30
) -> Iterator[Iterator[Sent]]:
    """The events of an order as they come, from the gateway or straight from an instance."""
    headers = dict(user.headers) | ({"Last-Event-ID": last_seen} if last_seen else {})
    with (
        httpx.Client(base_url=base_url, timeout=seconds, trust_env=False) as client,
        client.stream("GET", f"/api/orders/{order_id}/events", headers=headers) as answer,
    ):
        assert answer.status_code == 200, answer.read()
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        yield _parsed(answer.iter_lines())


def _parsed(lines: Iterator[str]) -> Iterator[Sent]:
    fields: dict[str, str] = {}
    for line in lines:
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif "data" in fields:
            yield Sent(fields["event"], fields.get("id"), json.loads(fields["data"]))
            fields = {}


def steps(events: list[Sent]) -> list[tuple[str, str]]:
    """The steps that a stream told of."""
    return [(e.data["step"], e.data["outcome"]) for e in events if e.name == "step"]


def own_ports(stack: Stack, clock: Any, **changes: str) -> Ports:
    """The infrastructure of a process of orders that this test plays itself."""
    environment = stack.services.environment("orders", "test") | changes
    known = {name.lower(): value for name, value in environment.items()}
    return make_ports(Settings(**known), clock)  # type: ignore[arg-type]
