"""No wait for PostgreSQL goes beyond what a caller waits, and one that suffices is waited out."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, suppress
from typing import Any

import httpx
import psycopg2
import pytest

from local.stack import Stack
from tests.outage.door import Door
from tests.outage.house import House, house, retry_after
from tests.race.rig import FULL, counted, figure, ledgers, rows, seconds_of, together
from tests.shop import PASSWORD, Account, Shop, wait_until

DEADLINE = 8.0 if FULL else 6.0
OUTAGE = 4.0 if FULL else 2.2
REQUEST = 4.5 if FULL else 2.5
SHOPPERS = 12 if FULL else 4
# What an answer takes besides the wait that is looked at, on a machine that is busy.
BESIDES = 2.0


@pytest.fixture(scope="module")
def home(stack: Stack) -> Iterator[House]:
    patient = {"database_wait_seconds": OUTAGE + 0.3}
    with house(
        stack,
        catalog={**patient, "request_seconds": REQUEST},
        cart={},
        orders={**patient, "checkout_deadline_seconds": DEADLINE, "request_seconds": REQUEST},
    ) as running:
        yield running


def check_out(home: House, user: Account, cart: str, key: str) -> httpx.Response:
    body = {"cart_id": cart, "payment": {"method": "card", "token": "tok_ok"}}
    headers = {**user.headers, "Idempotency-Key": key}
    return home.orders.post("/api/orders", json=body, headers=headers)


def during(outage: AbstractContextManager[None], seconds: float) -> threading.Thread:
    """The outage has begun; it ends by itself."""
    outage.__enter__()

    def end() -> None:
        threading.Event().wait(seconds)
        outage.__exit__(None, None, None)

    thread = threading.Thread(target=end)
    thread.start()
    return thread


@pytest.mark.parametrize("how", ["shut", "mute"])
@pytest.mark.parametrize("whose", ["orders_db", "catalog_db"])
def test_a_checkout_is_held_while_a_database_fails_over(
    stack: Stack, shop: Shop, customer: Account, home: House, whose: str, how: str
) -> None:
    product = shop.new_product(stock=50)["id"]
    carts = [shop.new_cart((product, 1)) for _ in range(SHOPPERS + 1)]
    first = check_out(home, customer, carts.pop(), uuid.uuid4().hex)
    assert first.status_code == 201, first.text
    door: Door = getattr(home, whose)

    ending = during(getattr(door, how)(), OUTAGE)
    timed = together(
        [
            lambda c=cart: seconds_of(lambda: check_out(home, customer, c, uuid.uuid4().hex))
            for cart in carts
        ]
    )
    ending.join()

    held = [seconds for seconds, _ in timed]
    answers = [answer for _, answer in timed]
    figure(
        "held checkouts",
        f"{whose} {how} for {OUTAGE} s: {counted(a.status_code for a in answers)}, "
        f"held {min(held):.1f} to {max(held):.1f} s",
    )
    assert {answer.status_code for answer in answers} == {201}, [a.text for a in answers]
    assert min(held) > OUTAGE - 0.5 and max(held) < DEADLINE
    wait_until(lambda: ledgers(stack, [product])[product].sold == SHOPPERS + 1)
    assert ledgers(stack, [product])[product].available == 50 - SHOPPERS - 1


@pytest.mark.parametrize("whose", ["orders_db", "catalog_db"])
def test_a_checkout_ends_with_its_deadline_and_the_same_key_ends_it(
    stack: Stack, shop: Shop, customer: Account, home: House, whose: str
) -> None:
    product = shop.new_product(stock=5)["id"]
    cart, key = shop.new_cart((product, 2)), uuid.uuid4().hex
    door: Door = getattr(home, whose)

    with door.mute():
        waited, refused = seconds_of(lambda: check_out(home, customer, cart, key))

    assert retry_after(refused) >= 1
    figure("deadline", f"{whose} mute: 503 after {waited:.2f} s of {DEADLINE} s")
    assert waited < DEADLINE + BESIDES
    last: list[httpx.Response] = []

    def bought() -> bool:
        last[:] = [check_out(home, customer, cart, key)]
        return last[0].status_code == 201

    wait_until(bought, 30)
    query = "SELECT id FROM orders WHERE user_id = %s AND status = 'confirmed'"
    assert rows(stack, "orders", query, customer.id) == [(last[0].json()["id"],)]
    wait_until(lambda: ledgers(stack, [product])[product].sold == 2)
    assert ledgers(stack, [product])[product].held == 0


DEMOTED = "SET default_transaction_read_only = on"
TERMINATED = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = pg_backend_pid()"


@pytest.mark.parametrize("order", [DEMOTED, TERMINATED], ids=["demoted", "shut down"])
def test_connections_to_what_is_no_longer_the_primary_cost_no_checkout(
    shop: Shop, customer: Account, home: House, order: str
) -> None:
    carts = [shop.new_cart((shop.new_product()["id"], 1)) for _ in range(3)]
    assert check_out(home, customer, carts[0], uuid.uuid4().hex).status_code == 201
    engine = home.app.extensions["feira"].database.primary
    with ExitStack() as held:
        for connection in [held.enter_context(engine.connect()) for _ in range(4)]:
            raw = connection.connection.driver_connection
            with suppress(psycopg2.OperationalError), raw.cursor() as cursor:
                cursor.execute(order)

    bought = [check_out(home, customer, cart, uuid.uuid4().hex) for cart in carts[1:]]

    assert [answer.status_code for answer in bought] == [201, 201], [a.text for a in bought]


def test_a_lost_answer_to_a_statement_is_asked_for_again(
    stack: Stack, shop: Shop, customer: Account, home: House
) -> None:
    product = shop.new_product(stock=5)["id"]
    cart = shop.new_cart((product, 1))
    home.app.extensions["feira"].database.dispose()

    with home.orders_db.losing_the_answer_to(b"open_order"):
        first = check_out(home, customer, cart, "lost-answer")
    wait_until(lambda: check_out(home, customer, cart, "lost-answer").status_code == 201, 20)

    assert first.status_code == 503 and first.headers["retry-after"]
    found = rows(stack, "orders", "SELECT status FROM orders WHERE user_id = %s", customer.id)
    assert found == [("confirmed",)]


@pytest.mark.parametrize("cut", [True, False], ids=["cut", "mute"])
def test_a_commit_without_an_answer_is_neither_done_again_nor_called_undone(
    stack: Stack, shop: Shop, home: House, cut: bool
) -> None:
    slug = f"t-{uuid.uuid4().hex[:12]}"
    body = {"slug": slug, "name": f"Teste {slug}"}

    with home.catalog_db.losing_the_answer_to(b"COMMIT", cut=cut):
        waited, unknown = seconds_of(
            lambda: home.catalog.post("/api/categories", json=body, headers=shop.operator.headers)
        )
    again = home.catalog.post("/api/categories", json=body, headers=shop.operator.headers)

    assert retry_after(unknown) >= 1 and waited < REQUEST + BESIDES
    assert again.status_code == 409 and again.json()["type"] == "/problems/already-exists"
    found = rows(stack, "catalog", "SELECT count(*) FROM categories WHERE slug = %s", slug)
    assert found == [(1,)]


def test_whoever_needs_a_frozen_primary_is_told_in_time_and_readers_are_served(
    shop: Shop, customer: Account, home: House
) -> None:
    operator = shop.operator
    product = shop.new_product()
    login = {"email": customer.email, "password": PASSWORD}
    patch = {"name": "Outro nome"}
    if_match = {**operator.headers, "If-Match": f'"{product["version"]}"'}
    path = f"/api/products/{product['id']}"
    home.orders.get("/api/orders", headers=customer.headers)
    home.catalog.get("/api/products", headers=operator.headers)
    with home.orders_db.mute(), home.catalog_db.mute():
        asked: list[tuple[float, httpx.Response]] = together(
            [
                lambda: seconds_of(lambda: home.orders.post("/auth/login", json=login)),
                lambda: seconds_of(lambda: home.catalog.patch(path, json=patch, headers=if_match)),
                lambda: seconds_of(
                    lambda: home.catalog.post(
                        "/api/categories", json=category(), headers=operator.headers
                    )
                ),
                lambda: seconds_of(
                    lambda: home.orders.get("/api/orders", headers=customer.headers)
                ),
                lambda: seconds_of(lambda: home.catalog.get(path)),
            ]
        )
    *refused, (orders_seconds, orders), (product_seconds, seen) = asked
    figure(
        "frozen primary",
        f"login, edit, new category: 503 after {', '.join(f'{s:.1f}' for s, _ in refused)} s; "
        f"orders read in {orders_seconds:.1f} s, a product in {product_seconds:.2f} s",
    )
    assert all(retry_after(answer) >= 1 for _, answer in refused)
    assert max(seconds for seconds, _ in refused) < max(DEADLINE, REQUEST) + BESIDES
    assert max(seconds for seconds, _ in refused[1:]) < REQUEST + BESIDES
    assert (orders.status_code, seen.status_code) == (200, 200)
    assert orders_seconds < REQUEST + BESIDES and product_seconds < BESIDES


def category() -> dict[str, Any]:
    slug = f"t-{uuid.uuid4().hex[:12]}"
    return {"slug": slug, "name": f"Teste {slug}"}
