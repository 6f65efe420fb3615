"""Branches as their services make them, each with a database of its own, and the links between.

The catalog of each branch runs in this process behind a real HTTP server, and what it sends goes
through a link that a test can cut, or have lose, repeat, hold back and shuffle what passes.
"""

from __future__ import annotations

import functools
import http.client
import logging
import random
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import psycopg2
from werkzeug.serving import BaseWSGIServer, make_server

import catalog.app
from catalog import branches, products, rejoin, reservations, transfers
from catalog.models import Category
from catalog.ports import Ports
from catalog.problems import EditConflict
from catalog.products import Branch
from catalog.reservations import Line
from catalog.settings import Settings
from catalog.transfers import Wanted
from chassis import migrations
from chassis.ids import new_id
from chassis.replication.relay import PeerRelay
from local.settings import REPOSITORY
from tests.postgres_server import PostgresServer

SERVICE_TOKEN = "a-service-token-for-these-tests-only"
HERE = "127.0.0.1"
NOWHERE = "http://127.0.0.1:1"


def token_of(one: str, other: str) -> str:
    """The secret of a pair of branches."""
    return f"only-for-tests-between-{'-and-'.join(sorted((one, other)))}"


@dataclass
class Faults:
    """What a link does to requests: shares from 0 to 1, and whether anything passes at all."""

    cut: bool = False
    drop: float = 0.0
    lose_answer: float = 0.0
    copies: int = 1
    late: float = 0.0
    let_go: float = 0.5


class Link:
    """A way to a branch: an HTTP proxy that may be as bad as a network can be."""

    def __init__(self, port: int, host: str = HERE) -> None:
        self.faults = Faults()
        self.requests = 0
        self._to = (host, port)
        self._chance = random.Random(port)
        self._held: list[tuple[str, dict[str, str], bytes]] = []
        self._first: list[tuple[str, dict[str, str], bytes]] = []
        self._lock = threading.Lock()
        link = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = link._pass_on(self.path, dict(self.headers), body)
                if answer is None:
                    self.close_connection = True
                    return
                status, text = answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        # Who hung up meanwhile is no fault of the link's.
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    def _pass_on(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes] | None:
        self.requests += 1
        faults, chance = self.faults, self._chance.random
        if faults.cut or chance() < faults.drop:
            return None
        with self._lock:
            if len(self._first) < 20:
                self._first.append((path, headers, body))
            held = [self._held.pop() for _ in range(len(self._held)) if chance() < faults.let_go]
            if chance() < faults.late:
                self._held.append((path, headers, body))
                return None
        for old in held:
            with suppress(OSError, http.client.HTTPException):
                self._send(*old)
        answer = None
        for _ in range(faults.copies):
            try:
                answer = self._send(path, headers, body)
            except (OSError, http.client.HTTPException):
                return None
        return None if chance() < faults.lose_answer else answer

    def _send(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        with closing(http.client.HTTPConnection(*self._to, timeout=10)) as connection:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def let_go(self) -> int:
        """Pass on what was held back and what was sent first, after all else; how many requests."""
        with self._lock:
            held, self._held = self._held + self._first, []
        for old in held:
            self._send(*old)
        return len(held)

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass(frozen=True)
class Way:
    """A way to a branch that has nothing in between."""

    url: str


class House:
    """One branch: its database, its catalog behind HTTP, its relays."""

    def __init__(
        self,
        name: str,
        dsn: str,
        port: int | None,
        links: Mapping[str, Link | Way],
        *,
        rebalance: bool = False,
        orders_url: str = NOWHERE,
        host: str = HERE,
    ) -> None:
        """Open it.

        Args:
            name: its NODE_NAME.
            dsn: of its database.
            port, host: where it answers; without a port it does not.
            links: the ways to its peers.
            rebalance, orders_url: as its settings have it.
        """
        self.name = name
        self.dsn = dsn
        settings = Settings(
            **told(name, links),
            catalog_database_url=dsn,
            catalog_pool_size=8,
            orders_url=orders_url,
            stock_rebalance=rebalance,
        )
        self.app = catalog.app.create_app(settings)
        self.ports: Ports = self.app.extensions["feira"]
        self.at = Branch(name, self.ports.clock)
        self._server: BaseWSGIServer | None = None
        if port is not None:
            self._server = make_server(host, port, self.app, threaded=True)
            self.url = f"http://{host}:{port}"
            self._serving = threading.Thread(
                target=self._server.serve_forever, args=(0.05,), daemon=True
            )
            self._serving.start()
        self._stop = threading.Event()
        self._threads: list[threading.Thread] = []
        self._relays: list[PeerRelay] = []
        self.errors: list[Exception] = []

    def deliver(self) -> None:
        """Have the relays and the rejoin loop work from now on."""
        self._relays = branches.relays(self.ports)
        duties: list[Callable[[], object]] = [relay.duty for relay in self._relays]
        duties.append(self._rejoin)
        self._threads = [
            threading.Thread(target=self._work, args=(duty,), daemon=True) for duty in duties
        ]
        for thread in self._threads:
            thread.start()

    def _rejoin(self) -> None:
        rejoin.rejoin(self.ports)
        self._stop.wait(0.1)

    def _work(self, duty: Callable[[], object]) -> None:
        while not self._stop.is_set():
            try:
                duty()
            except Exception as error:
                self.errors.append(error)
                self._stop.wait(0.05)

    def break_off(self) -> int:
        """End every connection to this branch's database, whatever it is doing; how many."""
        database = urlsplit(self.dsn).path.strip("/")
        with closing(psycopg2.connect(self.dsn.replace(database, "postgres"))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(
                    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
                    " WHERE datname = %s",
                    (database,),
                )
                return int(cursor.fetchall()[0][0])

    def copy(self, server: PostgresServer) -> str:
        """A copy of this branch's database as it is now, as a backup has it; its URI."""
        name = f"backup-{new_id().lower()}"
        database = urlsplit(self.dsn).path.strip("/")
        with closing(psycopg2.connect(server.dsn("postgres"))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                while True:
                    # A template must have no connections; those that end it begin again.
                    self.break_off()
                    with suppress(psycopg2.errors.ObjectInUse):
                        cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{database}"')
                        return server.dsn(name)

    def close(self) -> None:
        """End all of it but the database."""
        if self._stop.is_set():
            return
        self._stop.set()
        for thread in self._threads:
            thread.join(20)
        for relay in self._relays:
            relay._forget_connection()
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._serving.join()
        self.ports.database.dispose()

    # What a test does there.

    def product(self, sku: str, stock: int, **fields: Any) -> int:
        """A new product; its id in this branch."""

        def make(session: Any) -> int:
            category = session.query(Category).order_by(Category.id).first()
            if category is None:
                category = products.create_category(session, self.at, "bolos", "Bolos")
            wanted = {
                "sku": sku,
                "name": sku.title(),
                "description": "",
                "category_id": category.id,
                "price_cents": 1000,
                "stock": stock,
                "image_url": None,
            }
            return int(products.create(session, self.at, wanted | fields).product.id)

        return self.ports.database.write(make)

    def edit(self, sku: str, **fields: Any) -> None:
        """Change a product here, as often as an edit from elsewhere comes in between."""
        query = "SELECT id, version FROM products WHERE sku = %s"
        while True:
            ((product_id, version),) = self.rows(query, sku)
            change = partial(products.change, product_id=product_id, version=version, fields=fields)
            with suppress(EditConflict):
                self.ports.database.write(partial(change, branch=self.at))
                return

    def reserve(self, sku: str, quantity: int = 1) -> str:
        """Hold units; the reservation's id. Raises InsufficientStock."""
        order = new_id()
        reservations.reserve(self.ports, order, [Line(self.id_of(sku), quantity)], 900)
        return order

    def sell(self, sku: str, quantity: int = 1) -> str:
        """Hold units and sell them."""
        order = self.reserve(sku, quantity)
        reservations.commit(self.ports, order)
        return order

    def send(self, sku: str, quantity: int, to: str, transfer_id: str | None = None) -> str:
        """Send units to another branch."""
        wanted = Wanted(transfer_id or new_id(), sku, quantity, to)
        self.ports.database.write(
            partial(transfers.send, branch=self.at, wanted=wanted), repeatable=True
        )
        return wanted.id

    def id_of(self, sku: str) -> int:
        ((product_id,),) = self.rows("SELECT id FROM products WHERE sku = %s", sku)
        return int(product_id)

    def stock(self, sku: str, branch: str | None = None) -> int | None:
        """Units of a branch (this one) as they are known here."""
        found = self.rows(
            "SELECT available FROM stock JOIN products p ON p.id = product_id"
            " WHERE sku = %s AND branch = %s",
            sku,
            branch or self.name,
        )
        return int(found[0][0]) if found else None

    def rows(self, query: str, *parameters: object) -> list[tuple[Any, ...]]:
        """The rows of a query on this branch's database."""
        with closing(psycopg2.connect(self.dsn)) as connection, connection.cursor() as cursor:
            connection.autocommit = True
            cursor.execute(query, parameters)
            return list(cursor.fetchall()) if cursor.description else []

    def view(self) -> tuple[list[tuple[Any, ...]], list[tuple[Any, ...]]]:
        """What this branch believes of products and of everybody's stock."""
        return self.rows(_PRODUCTS), self.rows(_STOCK)


_PRODUCTS = """
SELECT p.sku, p.name, p.description, p.price_cents, p.active, c.slug, c.name
FROM products p JOIN categories c ON c.id = p.category_id ORDER BY p.sku
"""
_STOCK = """
SELECT p.sku, s.branch, s.available, s.version, s.sent, s.received
FROM stock s JOIN products p ON p.id = s.product_id ORDER BY p.sku, s.branch
"""


def told(name: str, links: Mapping[str, Link | Way]) -> dict[str, Any]:
    """The settings that both services of a branch have."""
    return {
        "node_name": name,
        "instance": f"{name}-tests",
        "peers": ",".join(f"{peer}={link.url}" for peer, link in links.items()),
        "replica_tokens": ",".join(f"{peer}={token_of(name, peer)}" for peer in links),
        "replication_retry_seconds": 0.05,
        "service_token": SERVICE_TOKEN,
        "event_bus_url": "redis://127.0.0.1:1/0",
        "log_level": "critical",
    }


class Country:
    """Some branches, and the links from each to each."""

    def __init__(
        self, server: PostgresServer, names: Sequence[str], *, rebalance: bool = False
    ) -> None:
        logging.getLogger("werkzeug").setLevel(logging.ERROR)
        self._server = server
        self._rebalance = rebalance
        self._ports = {name: _free_port() for name in names}
        self.links = {
            (one, other): Link(self._ports[other])
            for one in names
            for other in names
            if one != other
        }
        self.orders_urls = dict.fromkeys(names, NOWHERE)
        self.houses: dict[str, House] = {}

    def open(self, name: str, dsn: str | None = None, *, without: str = "") -> House:
        """Start a branch, with a database that is new unless one is given.

        Args:
            without: who is not to be among its peers.
        """
        ways = self.ways_from(name)
        ways.pop(without, None)
        house = House(
            name,
            dsn or fresh_database(self._server, "catalog"),
            self._ports[name],
            ways,
            rebalance=self._rebalance,
            orders_url=self.orders_urls[name],
        )
        self.houses[name] = house
        return house

    def ways_from(self, name: str) -> dict[str, Link]:
        """The links to the others."""
        return {other: link for (one, other), link in self.links.items() if one == name}

    def cut(self, *pairs: tuple[str, str]) -> None:
        """Let nothing pass between these, or between all."""
        for pair, link in self.links.items():
            if not pairs or pair in pairs or pair[::-1] in pairs:
                link.faults = Faults(cut=True)

    def heal(self) -> None:
        """Let everything pass everywhere."""
        for link in self.links.values():
            link.faults = Faults()

    def agree(self) -> bool:
        """Whether all branches have the same view, and it is the owners'."""
        views = [house.view() for house in self.houses.values()]
        return all(view == views[0] for view in views)

    def close(self) -> None:
        """End everything."""
        for house in self.houses.values():
            house.close()
        for link in self.links.values():
            link.close()


@contextmanager
def country(
    server: PostgresServer, *names: str, deliver: bool = True, rebalance: bool = False
) -> Iterator[Country]:
    """These branches, open, their relays at work unless a test turns them by hand."""
    with ExitStack() as stack:
        found = Country(server, names, rebalance=rebalance)
        stack.callback(found.close)
        for name in names:
            found.open(name)
        for house in found.houses.values() if deliver else ():
            house.deliver()
        yield found


def fresh_database(server: PostgresServer, service: str) -> str:
    """A database with a service's tables; its URI."""
    template = _migrated(server, service)
    name = f"{service}-{new_id().lower()}"
    with closing(psycopg2.connect(server.dsn("postgres"))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return server.dsn(name)


@functools.cache
def _migrated(server: PostgresServer, service: str) -> str:
    """The name of a database that was migrated once, and is copied from then on."""
    name = f"template-{service}"
    dsn = server.create(name)
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles")
        known = {row[0] for row in cursor.fetchall()}
        for role in {"catalog", "orders", "auditor"} - known:
            cursor.execute(f"CREATE ROLE {role} LOGIN")
    migrations.upgrade(REPOSITORY / "microservices" / service, dsn)
    return name


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
