"""What a request costs in statements and round trips, counted on the running stack's databases."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import psycopg2.extensions as pg
import pytest
from flask.testing import FlaskClient
from sqlalchemy import event, text
from sqlalchemy.engine import Engine

import catalog.app
import orders.app
from chassis.ids import new_id
from local.stack import Stack
from tests.outage.house import settings_of
from tests.shop import Account, Shop


@pytest.fixture(scope="module")
def catalog_client(stack: Stack) -> Iterator[FlaskClient]:
    yield from _client(catalog.app.create_app(settings_of(stack, "catalog")))


@pytest.fixture(scope="module")
def orders_client(stack: Stack) -> Iterator[FlaskClient]:
    # No standby is asked whether it has replayed something, and no list of revocations is due.
    yield from _client(orders.app.create_app(settings_of(stack, "orders")))


def _client(app: Any) -> Iterator[FlaskClient]:
    yield app.test_client()
    app.extensions["feira"].database.dispose()


@contextmanager
def statements() -> Iterator[list[str]]:
    """Every statement of this process from now on."""
    seen: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        seen.append(statement)

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def asked(client: FlaskClient, method: str, path: str, **request: Any) -> tuple[Any, list[str]]:
    """The answer's document, and the statements that it took (after one that warms up)."""
    client.open("/health")
    with statements() as seen:
        answer = client.open(path, method=method, **request)
    assert answer.status_code in (200, 201), answer.text
    return answer.json, seen


@pytest.mark.parametrize("path", ["/api/products?limit={}", "/api/produtos?limit={}"])
def test_a_list_of_products_takes_the_same_statements_whatever_its_length(
    catalog_client: FlaskClient, path: str
) -> None:
    if "produtos" in path:
        path = "/api/produtos"  # it has no limit of the caller's
        found = [asked(catalog_client, "GET", path)]
        assert len(found[0][0]["data"]) > 20 and len(found[0][1]) == 1
        return
    found = [asked(catalog_client, "GET", path.format(limit)) for limit in (1, 20, 100)]
    assert [len(document["items"]) for document, _ in found][:2] == [1, 20]
    assert len(found[2][0]["items"]) > 50
    assert [len(seen) for _, seen in found] == [1, 1, 1]


def test_product_data_of_a_cart_takes_one_statement(
    stack: Stack, catalog_client: FlaskClient
) -> None:
    headers = {"X-Service-Token": stack.secrets.service_token}
    listed, _ = asked(catalog_client, "GET", "/api/products?limit=50")
    ids = [item["id"] for item in listed["items"]]
    for few in (ids[:1], ids[:20], ids):
        path = f"/internal/products?ids={','.join(map(str, few))}"
        document, seen = asked(catalog_client, "GET", path, headers=headers)
        assert len(document["items"]) == len(few) and len(seen) == 1


def test_a_reservation_takes_two_statements_whatever_its_lines(
    stack: Stack, shop: Shop, catalog_client: FlaskClient
) -> None:
    headers = {"X-Service-Token": stack.secrets.service_token}
    products = [shop.new_product(stock=5)["id"] for _ in range(10)]
    for count in (1, 10):
        items = [{"product_id": product, "quantity": 1} for product in products[:count]]
        body = {"id": new_id(), "items": items, "ttl_seconds": 30}
        document, seen = asked(
            catalog_client, "POST", "/api/reservations", json=body, headers=headers
        )
        assert len(document["lines"]) == count
        assert len(seen) == 2 and seen[0].startswith("SELECT reserve_stock")
        catalog_client.delete(f"/api/reservations/{body['id']}", headers=headers)


def test_a_checkout_takes_five_statements_whatever_its_lines(
    shop: Shop, customer: Account, orders_client: FlaskClient
) -> None:
    products = [shop.new_product(stock=5)["id"] for _ in range(10)]
    orders_client.get("/auth/me", headers=customer.headers)  # the list of revocations is fresh
    for count in (1, 10):
        cart = shop.new_cart(*((product, 1) for product in products[:count]))
        body = {"cart_id": cart, "payment": {"method": "card", "token": "tok_ok"}}
        headers = {**customer.headers, "Idempotency-Key": uuid.uuid4().hex}
        document, seen = asked(orders_client, "POST", "/api/orders", json=body, headers=headers)
        assert len(document["items"]) == count
        seen = [statement for statement in seen if "generation" not in statement]
        seen = [statement for statement in seen if "ended_at" not in statement]
        assert len(seen) == 5, seen


def test_lists_and_pages_of_orders_take_the_same_statements_whatever_their_length(
    shop: Shop, customer: Account, orders_client: FlaskClient
) -> None:
    products = [shop.new_product(stock=30)["id"] for _ in range(10)]
    small = shop.buy(customer, (products[0], 1))
    large = shop.buy(customer, *((product, 1) for product in products))
    for _ in range(3):
        shop.buy(customer, (products[0], 1))
    orders_client.get("/auth/me", headers=customer.headers)
    for limit, count in ((1, 1), (5, 5)):
        path = f"/api/orders?limit={limit}"
        document, seen = asked(orders_client, "GET", path, headers=customer.headers)
        assert (len(document["items"]), len(seen)) == (count, 1)
    for order in (small, large):
        path = f"/api/orders/{order['id']}"
        document, seen = asked(orders_client, "GET", path, headers=customer.headers)
        assert (document["id"], len(seen)) == (order["id"], 1)
        document, seen = asked(orders_client, "GET", f"{path}/timeline", headers=customer.headers)
        assert document["items"] and len(seen) == 2


@contextmanager
def round_trips() -> Iterator[list[int]]:
    """One entry for each time that this process waits for PostgreSQL."""
    waits: list[int] = []
    before = pg.get_wait_callback()

    def wait(connection: pg.connection) -> None:
        waits.append(1)
        before(connection)

    pg.set_wait_callback(wait)
    try:
        yield waits
    finally:
        pg.set_wait_callback(before)


def test_a_transaction_costs_no_more_round_trips_than_the_drivers_own(
    stack: Stack, orders_client: FlaskClient
) -> None:
    ports = orders_client.application.extensions["feira"]  # type: ignore[attr-defined]
    one = text("SELECT 1")
    ports.database.write(lambda session: session.scalar(one))  # connected from here on
    with round_trips() as ours:
        ports.database.write(lambda session: session.scalar(one))
    with round_trips() as single:
        ports.database.call("SELECT 1", {}, repeatable=True)
    with (
        closing(psycopg2.connect(stack.dsn("orders", "orders"))) as connection,
        round_trips() as theirs,
        connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT 1")
    assert (len(ours), len(single), len(theirs)) == (3, 1, 3)


def test_a_transaction_that_fails_leaves_nothing_open(
    stack: Stack, orders_client: FlaskClient
) -> None:
    database = orders_client.application.extensions["feira"].database  # type: ignore[attr-defined]

    def fail(session: Any) -> None:
        session.execute(text("SELECT pg_current_xact_id()"))
        raise KeyError("of the caller's own")

    with pytest.raises(KeyError):
        database.write(fail)

    # The same connection: a pool hands out what was brought back last.
    left_open = database.call("SELECT pg_current_xact_id_if_assigned()", {}, repeatable=True)
    assert tuple(left_open) == (None,)
