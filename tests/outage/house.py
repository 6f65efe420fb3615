"""Catalog, cart and orders in this process, each behind a door, on the running stack's stores."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import psycopg2
from flask import Flask
from psycopg2.extensions import parse_dsn
from werkzeug.serving import WSGIRequestHandler, make_server

from chassis.settings import ServiceSettings
from local.stack import Stack
from tests.outage.door import Door

Settings = TypeVar("Settings", bound=ServiceSettings)


def settings_of(stack: Stack, service: str, **changes: Any) -> Any:
    """What an instance of the stack is told, with changes."""
    kind = import_module(f"{service}.settings").Settings
    told = stack.services.environment(service, "test")
    known = {name: told[name.upper()] for name in kind.model_fields if name.upper() in told}
    return kind(**known | changes)


def server_ports(stack: Stack, service: str) -> tuple[int, list[int]]:
    """The port of the primary, and those of the other servers."""
    options = parse_dsn(stack.dsn(service, service))
    ports = [int(port) for port in options["port"].split(",")]
    with closing(
        psycopg2.connect(stack.dsn(service, service), target_session_attrs="read-write")
    ) as connection:
        primary: int = connection.info.port
    return primary, [port for port in ports if port != primary]


def dsn_through(stack: Stack, service: str, ports: list[int]) -> str:
    """The service's own URI with other ports."""
    options = parse_dsn(stack.dsn(service, service))
    hosts = ",".join(f"127.0.0.1:{port}" for port in ports)
    return f"postgresql://{options['user']}:{options['password']}@{hosts}/{options['dbname']}"


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:
        pass


@contextmanager
def served(app: Flask) -> Iterator[int]:
    """The port at which the app is served, by as many threads as there are requests."""
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=_Quiet)
    server.daemon_threads = True  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@dataclass(frozen=True)
class House:
    """Where to ask, and the doors to open and shut.

    Attributes:
        catalog, orders: clients of the two services, straight to them.
        catalog_db, orders_db: doors to the primary, one for each service.
        to_catalog: doors to the catalog, for cart and orders.
        app: orders itself.
    """

    catalog: httpx.Client
    orders: httpx.Client
    catalog_db: Door
    orders_db: Door
    to_catalog: list[Door]
    app: Flask


@contextmanager
def house(
    stack: Stack, *, catalog: dict[str, Any], cart: dict[str, Any], orders: dict[str, Any]
) -> Iterator[House]:
    """All three services with these settings; orders asks the catalog through two doors."""
    with ExitStack() as opened:

        def door(target: int) -> Door:
            made = Door(target)
            opened.callback(made.close)
            return made

        def client(port: int) -> httpx.Client:
            url = f"http://127.0.0.1:{port}"
            return opened.enter_context(httpx.Client(base_url=url, timeout=60, trust_env=False))

        def serve(name: str, **changes: Any) -> tuple[Flask, int]:
            app = import_module(f"{name}.app").create_app(settings_of(stack, name, **changes))
            if name != "cart":
                opened.callback(app.extensions["feira"].database.dispose)
            return app, opened.enter_context(served(app))

        primary, others = server_ports(stack, "catalog")
        catalog_db, orders_db = door(primary), door(primary)
        dsns = {
            f"{name}_database_url": dsn_through(stack, name, [behind.port, *others])
            for name, behind in (("catalog", catalog_db), ("orders", orders_db))
        }
        catalog_url = {"catalog_database_url": dsns["catalog_database_url"]}
        _, catalog_port = serve("catalog", **catalog_url | catalog)
        to_catalog = [door(catalog_port), door(catalog_port)]
        urls = {"catalog_url": ",".join(f"http://127.0.0.1:{each.port}" for each in to_catalog)}
        _, cart_port = serve("cart", **urls | cart)
        urls |= {"cart_url": f"http://127.0.0.1:{cart_port}"}
        app, orders_port = serve(
            "orders", **urls | {"orders_database_url": dsns["orders_database_url"]} | orders
        )
        yield House(
            client(catalog_port), client(orders_port), catalog_db, orders_db, to_catalog, app
        )


def retry_after(answer: httpx.Response) -> int:
    """Seconds, of an answer that must be a 503 problem document."""
    assert answer.status_code == 503, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 503
    return int(answer.headers["retry-after"])


def path_of(url: str) -> str:
    """The path of a URL."""
    return urlsplit(url).path
