"""What operators see of the whole house: parts, dead letters, and a product's ledger."""

from __future__ import annotations

import json
import uuid
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from redis import Redis

from chassis.ids import new_id
from tests.people import problem
from tests.shop import Account, Shop

DOORS = ("/api/parts", "/api/dead-letters", "/api/products/1/stock-movements")


@pytest.mark.parametrize("door", DOORS)
def test_they_are_for_operators(http: httpx.Client, customer: Account, door: str) -> None:
    problem(http.get(door), 401, "unauthenticated")
    problem(http.get(door, headers=customer.headers), 403, "forbidden")


def test_a_ledger_shows_every_movement_newest_first(shop: Shop, operator: Account) -> None:
    product = shop.new_product(stock=9)
    adjustments = f"/api/products/{product['id']}/stock-adjustments"
    shop.http.post(adjustments, json={"delta": -2, "reason": "quebra"}, headers=operator.headers)
    order = shop.buy(shop.new_user(), (product["id"], 3))
    door = f"/api/products/{product['id']}/stock-movements"
    newest = {**operator.headers, "X-Consistency-Token": "catalog:FFFFFFFF/FFFFFFFF"}
    answer = shop.http.get(door, headers=newest)
    assert answer.headers["cache-control"] == "no-store"
    shown = [(m["delta"], m["kind"], m["reference"], m["branch"]) for m in answer.json()["items"]]
    expected = [
        (-3, "reserve", order["id"], "matriz"),
        (-2, "adjust", "quebra", "matriz"),
        (9, "supply", "first supply", "matriz"),
    ]
    assert (shown, answer.json()["next_cursor"]) == (expected, None)
    # The same page by page.
    found: list[Any] = []
    query: dict[str, str] = {"limit": "1"}
    while len(found) < 5:
        page = shop.http.get(door, params=query, headers=newest).json()
        found += page["items"]
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]
    assert found == answer.json()["items"]
    problem(
        shop.http.get("/api/products/999999999/stock-movements", headers=operator.headers),
        404,
        "product-not-found",
    )


def test_the_parts_name_every_instance_and_store(shop: Shop, operator: Account) -> None:
    answer = shop.http.get("/api/parts", headers=operator.headers)
    parts = {part["instance"]: part for part in answer.json()["items"]}
    assert set(parts) == {"catalog-1", "catalog-2", "cart", "orders"}
    assert {part["state"] for part in parts.values()} == {"up"}
    databases = [s for s in parts["orders"]["stores"] if s["kind"] == "postgresql"]
    assert sorted(store["role"] for store in databases) == ["primary", "standby"]
    assert [s["kind"] for s in parts["cart"]["stores"]] == ["carts", "bus"]
    assert answer.headers["cache-control"] == "no-store"
    # Each says since when: the same at every look, another when it has been started again.
    again = shop.http.get("/api/parts", headers=operator.headers).json()["items"]
    assert {p["instance"]: p["started_at"] for p in again} == {
        name: part["started_at"] for name, part in parts.items()
    }
    assert all(datetime.fromisoformat(part["started_at"]) < datetime.now(UTC) for part in again)
    # No address holds a user or a password.
    assert "@" not in answer.text


def set_aside(shop: Shop, group: str, service: str, event: dict[str, Any] | str) -> str:
    """Put an event among those that a group gave up; the letter's id."""
    text = event if isinstance(event, str) else json.dumps(event)
    with Redis.from_url(shop.stack.redis_urls["redis-streams"], decode_responses=True) as redis:
        letter: Any = {"service": service, "event": text, "error": "ValueError('no')"}
        return str(redis.xadd(f"dead:{group}", letter))


def letters(shop: Shop, operator: Account) -> dict[str, dict[str, Any]]:
    listed = shop.http.get("/api/dead-letters", headers=operator.headers).json()
    assert (listed["away"], listed["next_cursor"]) == ([], None)
    return {letter["id"]: letter for letter in listed["items"]}


@pytest.mark.parametrize("group", ["cart", "catalog", "orders"])
def test_a_replay_gives_an_event_its_effect(shop: Shop, operator: Account, group: str) -> None:
    service, kind = ("catalog", "product.updated") if group == "cart" else ("orders", "order.other")
    product = {k: v for k, v in shop.new_product().items() if k != "stock"}
    event = {
        "specversion": "1.0",
        "id": new_id(),
        "source": f"/matriz/{service}",
        "type": kind,
        "subject": uuid.uuid4().hex,
        "time": datetime.now(UTC).isoformat(),
        "lamport": 1,
        "datacontenttype": "application/json",
        "data": product,
    }
    letter = set_aside(shop, group, service, event)
    shown = letters(shop, operator)[letter]
    assert (shown["group"], shown["service"], shown["type"]) == (group, service, kind)
    assert (shown["subject"], shown["error"]) == (event["subject"], "ValueError('no')")
    door = f"/api/dead-letters/{group}/{letter}/replay"
    assert shop.http.post(door, headers=operator.headers).status_code == 204
    assert letter not in letters(shop, operator)
    problem(shop.http.post(door, headers=operator.headers), 404, "letter-not-found")


@pytest.mark.parametrize("group", ["cart", "orders"])
def test_what_fails_again_is_kept(shop: Shop, operator: Account, group: str) -> None:
    letter = set_aside(shop, group, "catalog" if group == "cart" else "orders", "{")
    door = f"/api/dead-letters/{group}/{letter}/replay"
    refused = problem(shop.http.post(door, headers=operator.headers), 409, "replay-failed")
    assert refused["detail"].startswith("It failed again: ")
    shown = letters(shop, operator)[letter]
    assert (shown["type"], shown["subject"], shown["document"]) == (None, None, "{")
    with Redis.from_url(shop.stack.redis_urls["redis-streams"]) as redis:
        redis.xdel(f"dead:{group}", letter)
