"""Branches as their services make them, each with a database of its own, and the links between.

The catalog of each branch runs in this process behind a real HTTP server, and what it sends goes
through a link that a test can cut, or have lose, repeat, hold back and shuffle what passes.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager, suppress
from functools import partial
from itertools import count
from typing import Any

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
from chassis.ids import new_id
from chassis.replication.relay import PeerRelay
from local.web import free_ports
from tests.branches.databases import break_off, fresh_database
from tests.branches.links import HERE, Faults, Link, Way
from tests.postgres_server import PostgresServer

SERVICE_TOKEN = "a-service-token-for-these-tests-only"
NOWHERE = "http://127.0.0.1:1"


def token_of(one: str, other: str) -> str:
    """The secret of a pair of branches."""
    return f"only-for-tests-between-{'-and-'.join(sorted((one, other)))}"


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
        return break_off(self.dsn)

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
        self._ports = {name: free_port() for name in names}
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


# Below those of outgoing connections, one of which could take a port before it is listened to.
_free_ports = (port for _ in count() for port in free_ports().values())


def free_port() -> int:
    """A port that nobody has now, another one each time."""
    return next(_free_ports)
