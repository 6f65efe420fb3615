"""Nothing depends on the wall clock going forward: a clock of the test's own is moved about."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

import catalog.app
import orders.app
from catalog import sweeper
from chassis.ids import new_id
from local.stack import Stack
from orders import recovery
from tests.outage.house import settings_of
from tests.race.rig import frozen, ledgers, rows
from tests.shop import PASSWORD, Account, Shop, wait_until

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass
class MovedClock:
    """The machine's clock, set forward or back."""

    by: timedelta = field(default_factory=timedelta)

    def now(self) -> datetime:
        return datetime.now(UTC) + self.by


@dataclass(frozen=True)
class Orders:
    """Orders in this process, on a clock that the test moves."""

    client: FlaskClient
    clock: MovedClock

    @property
    def ports(self) -> Any:
        return self.client.application.extensions["feira"]

    def login(self, user: Account) -> dict[str, Any]:
        body = {"email": user.email, "password": PASSWORD}
        answer = self.client.post("/auth/login", json=body)
        assert answer.status_code == 200, answer.text
        tokens: dict[str, Any] = answer.json
        return tokens

    def headers(self, user: Account) -> dict[str, str]:
        """With a token that is good now, whenever that is."""
        return {"Authorization": f"Bearer {self.login(user)['access_token']}"}

    def check_out(self, user: Account, cart: str, key: str, token: str = "tok_ok") -> Any:
        body = {"cart_id": cart, "payment": {"method": "card", "token": token}}
        headers = self.headers(user) | {"Idempotency-Key": key}
        return self.client.post("/api/orders", json=body, headers=headers)


@pytest.fixture
def shifted(stack: Stack) -> Iterator[Orders]:
    clock = MovedClock()
    app = orders.app.create_app(settings_of(stack, "orders"), clock)
    yield Orders(app.test_client(), clock)
    app.extensions["feira"].database.dispose()


def slug(answer: Any) -> str:
    return str(answer.json["type"].removeprefix("/problems/"))


@pytest.mark.promise(11)
def test_a_key_is_replayed_for_24_hours_and_then_forgotten(
    shop: Shop, customer: Account, shifted: Orders
) -> None:
    product = shop.new_product(stock=9)["id"]
    cart, key = shop.new_cart((product, 2)), uuid.uuid4().hex
    first = shifted.check_out(customer, cart, key)
    assert first.status_code == 201
    wait_until(lambda: shop.http.get(f"/api/carts/{cart}").json()["items"] == [])

    shifted.clock.by = DAY - MINUTE
    replay = shifted.check_out(customer, cart, key)
    assert (replay.status_code, replay.data) == (201, first.data)
    assert replay.headers["Location"] == first.headers["Location"]

    shifted.clock.by = DAY + MINUTE
    forgotten = shifted.check_out(customer, cart, key)
    assert (forgotten.status_code, slug(forgotten)) == (409, "cart-empty")
    # Its lease would end a day ahead, which the stack's own recovery would not believe.
    with frozen(shop.stack, "orders-background"):
        another = shifted.check_out(customer, shop.new_cart((product, 3)), key)
    assert another.status_code == 201, another.text
    assert another.json["id"] != first.json["id"]
    wait_until(lambda: ledgers(shop.stack, [product])[product].sold == 5)


@pytest.mark.parametrize("lease", ["lapsed", "held by a worker that died"])
def test_an_unfinished_order_is_ended_although_the_clock_was_set_back(
    stack: Stack, shop: Shop, customer: Account, shifted: Orders, lease: str
) -> None:
    product = shop.new_product(stock=4)["id"]
    cart = shop.new_cart((product, 3))
    with frozen(stack, "orders-background"):
        shifted.clock.by = HOUR
        unfinished = shifted.check_out(customer, cart, uuid.uuid4().hex, token="tok_timeout")
        assert (unfinished.status_code, slug(unfinished)) == (503, "checkout-unfinished")
        order = unfinished.json["order_id"]
        if lease != "lapsed":
            # As `open_order` leaves it, when the process is killed right after.
            query = (
                "UPDATE orders SET lease_until = now() + interval '1 hour 5 s' WHERE id = %s"
                " RETURNING version"
            )
            assert rows(stack, "orders", query, order)

        shifted.clock.by = timedelta()

        def ended() -> bool:
            recovery.sweep(shifted.ports)
            found = rows(stack, "orders", "SELECT step FROM orders WHERE id = %s", order)
            return found == [("done",)]

        wait_until(ended, 20)
    assert shop.order(customer, order)["status"] == "failed"
    wait_until(lambda: shop.stock(product) == 4)


def test_a_lease_that_is_held_now_is_left_alone_by_clocks_that_differ_a_little(
    stack: Stack, shop: Shop, customer: Account, shifted: Orders
) -> None:
    cart, key = shop.new_cart((shop.new_product()["id"], 1)), uuid.uuid4().hex
    with frozen(stack, "orders-background"):
        unfinished = shifted.check_out(customer, cart, key, token="tok_timeout")
        order = unfinished.json["order_id"]
        query = "UPDATE orders SET lease_until = now() + interval '3 s' WHERE id = %s RETURNING id"
        assert rows(stack, "orders", query, order)
        shifted.clock.by = -timedelta(seconds=30)

        version = "SELECT version FROM orders WHERE id = %s"
        before = rows(stack, "orders", version, order)
        recovery.sweep(shifted.ports)
        running = shifted.check_out(customer, cart, key, token="tok_timeout")

        assert rows(stack, "orders", version, order) == before
    assert (running.status_code, slug(running)) == (409, "in-progress")
    # What is left of the lease by this clock, and no more than a lease and a pause are long.
    assert 10 < int(running.headers["Retry-After"]) <= 33


def test_access_tokens_expire_and_sessions_outlive_a_clock_that_is_set_back(
    customer: Account, shifted: Orders
) -> None:
    def me(access_token: str) -> int:
        headers = {"Authorization": f"Bearer {access_token}"}
        status: int = shifted.client.get("/auth/me", headers=headers).status_code
        return status

    shifted.clock.by = HOUR
    tokens, unseen = shifted.login(customer), shifted.login(customer)
    assert me(tokens["access_token"]) == 200
    shifted.clock.by = HOUR + 14 * MINUTE
    assert me(tokens["access_token"]) == 200
    shifted.clock.by = HOUR + 16 * MINUTE
    assert me(tokens["access_token"]) == 401

    # Set back behind its issue, a token is not valid yet for a process that never saw it; the
    # session goes on with a refresh.
    shifted.clock.by = timedelta()
    assert me(unseen["access_token"]) == 401
    again = shifted.client.post("/auth/refresh", json={"refresh_token": unseen["refresh_token"]})
    assert again.status_code == 200
    assert me(again.json["access_token"]) == 200


def test_a_refresh_token_ends_after_30_days(customer: Account, shifted: Orders) -> None:
    def refresh(token: str) -> Any:
        return shifted.client.post("/auth/refresh", json={"refresh_token": token})

    first, second = shifted.login(customer), shifted.login(customer)
    shifted.clock.by = 30 * DAY - MINUTE
    assert refresh(first["refresh_token"]).status_code == 200
    shifted.clock.by = 30 * DAY + MINUTE
    assert refresh(second["refresh_token"]).status_code == 401


def test_a_hold_is_swept_past_its_time_and_not_before(stack: Stack, shop: Shop) -> None:
    product = shop.new_product(stock=5)["id"]
    clock = MovedClock()
    app = catalog.app.create_app(settings_of(stack, "catalog"), clock)
    ports = app.extensions["feira"]
    body = {"id": new_id(), "items": [{"product_id": product, "quantity": 2}], "ttl_seconds": 900}
    headers = {"X-Service-Token": stack.secrets.service_token}
    assert (
        app.test_client().post("/api/reservations", json=body, headers=headers).status_code == 201
    )
    try:
        clock.by = 15 * MINUTE - timedelta(seconds=30)
        sweeper.sweep(ports)
        assert ledgers(stack, [product])[product].held == 2
        clock.by = 15 * MINUTE + timedelta(seconds=1)
        sweeper.sweep(ports)
        assert ledgers(stack, [product])[product].held == 0
    finally:
        ports.database.dispose()
