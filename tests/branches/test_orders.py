"""Orders and customers in every branch: what crosses, what stays at home."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import Any

import psycopg2
import pytest
from werkzeug.serving import make_server

import orders.app
from chassis.ids import new_id
from chassis.instances import Instances
from orders import accounts, branches, customers, replica
from orders.ports import Ports
from orders.settings import Settings
from tests.branches.databases import copy_of, fresh_database
from tests.branches.links import Faults
from tests.branches.rig import Country, House, told
from tests.postgres_server import PostgresServer
from tests.shop import wait_until


class Orders:
    """The orders service of one branch, behind HTTP, with its relays."""

    def __init__(self, name: str, dsn: str, found: Country, catalog: House) -> None:
        self.dsn = dsn
        settings = Settings(
            **told(name, found.ways_from(name)),
            orders_database_url=dsn,
            catalog_url=catalog.url,
            cart_url="http://127.0.0.1:1",
            jwt_private_key=base64.urlsafe_b64encode(bytes(32)).decode(),
            bcrypt_rounds=4,
        )
        self.app = orders.app.create_app(settings)
        self.ports: Ports = self.app.extensions["feira"]
        self._server = make_server("127.0.0.1", 0, self.app, threaded=True)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._stop = threading.Event()
        self._relays = branches.relays(self.ports)
        self._threads = [threading.Thread(target=self._server.serve_forever, args=(0.05,))]
        self._threads += [
            threading.Thread(target=self._work, args=(each,)) for each in self._relays
        ]
        self.errors: list[Exception] = []

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def _work(self, relay: Any) -> None:
        while not self._stop.is_set():
            try:
                relay.duty()
            except Exception as error:
                self.errors.append(error)
                self._stop.wait(0.05)

    def close(self) -> None:
        self._stop.set()
        self._server.shutdown()
        for thread in self._threads:
            thread.join(20)
        for relay in self._relays:
            relay._forget_connection()
        self._server.server_close()
        self.ports.database.dispose()

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        with closing(psycopg2.connect(self.dsn)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(query, parameters)
            return list(cursor.fetchall()) if cursor.description else []

    def register(self, email: str, name: str) -> str:
        new = accounts.NewAccount(email, "uma-senha-bem-comprida", name)
        return accounts.create(self.ports, new).id

    def rename(self, email: str, name: str) -> None:
        at = self.ports
        at.database.write(
            lambda s: customers.rename(s, at.settings.node_name, at.clock, email, name)
        )

    def order(
        self, user_id: str, product_id: int, status: str, version: int, order_id: str
    ) -> None:
        """Write an order and its event as the saga does."""
        items = [
            {"product_id": product_id, "name": "Bolo", "quantity": 2, "unit_price_cents": 1000}
        ]
        self.rows(_ORDER, order_id, user_id, status, order_id, json.dumps(items), version)
        data = {
            "id": order_id,
            "status": status,
            "user_id": user_id,
            "cart_id": "a-secret-cart",
            "items": items,
            "total_cents": 2000,
            "currency": "BRL",
            "created_at": "2026-11-21T12:00:00.000Z",
            "version": version,
        }
        kind = "order.created" if version == 1 else "order.status_changed"
        self.rows(_EVENT, new_id(), kind, order_id, json.dumps(data))


_ORDER = """
INSERT INTO orders (id, user_id, status, step, cart_id, cart_version, items, total_cents, currency,
    payment, version, created_at, updated_at, lease_until, retry_at)
VALUES (%s, %s, %s, 'done', %s, 1, %s, 2000, 'BRL', '{}', %s, '2026-11-21T12:00:00Z', now(), now(),
    now())
ON CONFLICT (id) DO UPDATE SET status = EXCLUDED.status, version = EXCLUDED.version
"""
_EVENT = "INSERT INTO outbox (id, type, subject, time, data) VALUES (%s, %s, %s, now(), %s)"


@contextmanager
def pair_of(server: PostgresServer) -> Iterator[tuple[Country, dict[str, Orders]]]:
    with ExitStack() as stack:
        found = Country(server, ["matriz", "filial"])
        stack.callback(found.close)
        rooms: dict[str, Orders] = {}
        for name in ("matriz", "filial"):
            # The catalog needs to know where orders will be, and orders where the catalog is.
            catalog = found.open(name)
            rooms[name] = Orders(name, fresh_database(server, "orders"), found, catalog)
            catalog.ports.orders._instances = Instances([rooms[name].url])
            stack.callback(rooms[name].close)
        for room in rooms.values():
            room.start()
        for house in found.houses.values():
            house.deliver()
        yield found, rooms


@pytest.fixture
def pair(postgres: PostgresServer) -> Iterator[tuple[Country, dict[str, Orders]]]:
    with pair_of(postgres) as found:
        yield found


COPY = "SELECT id, branch, status, version, customer_email, items FROM branch_orders"


def test_an_order_brings_its_customer_and_its_products(
    pair: tuple[Country, dict[str, Orders]],
) -> None:
    found, rooms = pair
    matriz, filial = rooms["matriz"], rooms["filial"]
    # What the catalogs tell each other does not arrive; the order has to bring it.
    catalogs = found.houses
    product_id = catalogs["matriz"].product("BOLO", 10)
    wait_until(lambda: catalogs["filial"].stock("BOLO") == 0)
    catalogs["filial"].rows("DELETE FROM stock; DELETE FROM products; DELETE FROM shared_stamps")
    user = matriz.register("ana@example.com", "Ana Souza")
    order_id = new_id()

    matriz.order(user, product_id, "pending", 1, order_id)
    wait_until(lambda: filial.rows(COPY))
    matriz.order(user, product_id, "confirmed", 2, order_id)

    item = {"sku": "BOLO", "name": "Bolo", "quantity": 2, "unit_price_cents": 1000}
    copy = (order_id, "matriz", "confirmed", 2, "ana@example.com", [item])
    wait_until(lambda: filial.rows(COPY) == [copy])
    assert filial.rows("SELECT email, name FROM customers") == [("ana@example.com", "Ana Souza")]
    assert catalogs["filial"].rows("SELECT sku, name FROM products") == [("BOLO", "Bolo")]
    assert filial.rows("SELECT count(*) FROM users") == [(0,)]
    assert matriz.errors == filial.errors == []


def test_what_is_private_stays_at_home(pair: tuple[Country, dict[str, Orders]]) -> None:
    found, rooms = pair
    product_id = found.houses["matriz"].product("BOLO", 10)
    user = rooms["matriz"].register("ana@example.com", "Ana Souza")
    rooms["matriz"].order(user, product_id, "pending", 1, new_id())
    events = list(
        branches.snapshot(rooms["matriz"].ports.database.primary.connect(), rooms["matriz"].ports)
    )
    told_of = json.dumps(list(branches._documents(rooms["matriz"].ports, events)))
    assert "ana@example.com" in told_of and "BOLO" in told_of
    for private in ("a-secret-cart", user, "password", "payment", "shipping"):
        assert private not in told_of


def test_customers_are_corrected_anywhere(pair: tuple[Country, dict[str, Orders]]) -> None:
    found, rooms = pair
    matriz, filial = rooms["matriz"], rooms["filial"]
    matriz.register("ana@example.com", "Ana")
    name = "SELECT name FROM customers WHERE email = 'ana@example.com'"
    wait_until(lambda: filial.rows(name) == [("Ana",)])
    filial.rename("ana@example.com", "Ana Souza")
    # The account is in matriz and is called as its customer is.
    wait_until(
        lambda: (
            matriz.rows("SELECT name FROM users WHERE email = 'ana@example.com'")
            == [("Ana Souza",)]
        )
    )
    found.cut()
    matriz.rename("ana@example.com", "Ana Maria")
    filial.rename("ana@example.com", "Ana Paula")
    found.heal()
    wait_until(lambda: matriz.rows(name) == filial.rows(name))
    (winner,) = matriz.rows(name)[0]
    lost = {"Ana Maria", "Ana Paula"} - {winner}
    kept = "SELECT document->>'name' FROM lost_edits WHERE kind = 'customer'"
    wait_until(lambda: {row[0] for row in matriz.rows(kept)} == lost)
    wait_until(lambda: {row[0] for row in filial.rows(kept)} == lost)


def test_whoever_registers_elsewhere_with_an_address_renames_nobody(
    pair: tuple[Country, dict[str, Orders]],
) -> None:
    _, rooms = pair
    rooms["matriz"].register("ana@example.com", "Ana Souza")
    name = "SELECT name FROM customers"
    wait_until(lambda: rooms["filial"].rows(name) == [("Ana Souza",)])
    rooms["filial"].register("ana@example.com", "Somebody Else")
    assert rooms["filial"].rows(name) == rooms["matriz"].rows(name) == [("Ana Souza",)]


def test_an_order_of_this_branch_is_nobody_elses_to_change(
    pair: tuple[Country, dict[str, Orders]],
) -> None:
    _, rooms = pair
    matriz = rooms["matriz"]
    user, mine = matriz.register("ana@example.com", "Ana"), new_id()
    matriz.order(user, 1, "confirmed", 2, mine)
    said = {
        "specversion": "1.0",
        "id": new_id(),
        "source": "/filial/orders",
        "type": "order_created",
        "subject": mine,
        "time": "2026-11-21T12:00:00Z",
        "lamport": 1,
        "data": {
            "id": mine,
            "status": "cancelled",
            "items": [],
            "total_cents": 0,
            "currency": "BRL",
            "created_at": "2026-11-21T12:00:00Z",
            "version": 99,
            "customer": {"email": "ana@example.com", "name": "Ana"},
        },
    }
    answer = replica.take(matriz.ports, "filial", [said])["results"][0]
    assert answer["outcome"] == "refused" and "this branch" in answer["detail"]
    assert matriz.rows("SELECT status FROM orders") == [("confirmed",)]


def test_a_catalog_that_is_away_holds_orders_back_and_loses_none(
    pair: tuple[Country, dict[str, Orders]],
) -> None:
    found, rooms = pair
    matriz, filial = rooms["matriz"], rooms["filial"]
    product_id = found.houses["matriz"].product("BOLO", 10)
    user = matriz.register("ana@example.com", "Ana")
    found.links["matriz", "filial"].faults = Faults(drop=0.5, lose_answer=0.5)
    ids = [new_id() for _ in range(10)]
    for order_id in ids:
        matriz.order(user, product_id, "pending", 1, order_id)
        matriz.order(user, product_id, "confirmed", 2, order_id)
    found.heal()
    wait_until(lambda: len(filial.rows(COPY + " WHERE status = 'confirmed'")) == 10, 30)
    assert sorted(row[0] for row in filial.rows(COPY)) == sorted(ids)


def test_orders_that_were_set_back_begin_one_epoch_and_go_on(
    pair: tuple[Country, dict[str, Orders]], postgres: PostgresServer
) -> None:
    found, rooms = pair
    filial = rooms["filial"]
    house = found.houses["matriz"]
    product_id = house.product("BOLO", 10)
    user = rooms["matriz"].register("ana@example.com", "Ana")

    def order(at: Orders) -> None:
        order_id = new_id()
        at.order(user, product_id, "confirmed", 1, order_id)
        wait_until(lambda: filial.rows(f"{COPY} WHERE id = '{order_id}'"), 30)

    order(rooms["matriz"])
    rooms["matriz"].close()
    backup = copy_of(rooms["matriz"].dsn, postgres)
    with reopened(found, house, rooms["matriz"].dsn) as later:
        for _ in range(5):
            order(later)
    with reopened(found, house, backup) as restored:
        # Less was written than the peer has heard, and stays so: there is nothing to buy at night.
        wait_until(lambda: filial.rows(HEARD) == [(2,)], 30)
        order(restored)
        # Another peer may have noticed at the same time.
        branches._begin_epoch(restored.ports, 1)
        assert restored.rows("SELECT epoch FROM branch_state") == [(2,)]
        assert filial.rows(HEARD) == [(2,)]


HEARD = "SELECT epoch FROM replica_sources WHERE branch = 'matriz'"


@contextmanager
def reopened(found: Country, house: House, dsn: str) -> Iterator[Orders]:
    """Orders of a branch on another database, until the block ends."""
    room = Orders(house.name, dsn, found, house)
    house.ports.orders._instances = Instances([room.url])
    room.start()
    try:
        yield room
    finally:
        room.close()
