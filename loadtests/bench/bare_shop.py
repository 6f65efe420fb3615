"""What a purchase cannot do without: requests, calls between services, commits, a word on the bus.

All that makes it a shop is left out: keys, prices, tokens of access, validation, movements, an
outbox, whoever relays events and takes note of them, logs. Run three times, as cart, as catalog and
as orders, behind a plain nginx.
"""

from __future__ import annotations

from typing import Any

from flask import Flask, request
from pydantic_settings import BaseSettings
from redis import Redis

from chassis.db import Database
from chassis.http_client import ServiceClient
from chassis.ids import new_id
from loadtests.bench.pgbench import ROWS

THREADS = 16
SECONDS = 5.0
EVENTS = 5

OPEN = """
INSERT INTO orders (id, customer, status, items, total_cents, created_at)
VALUES (:id, 'bare', 'pending', '[]', 1000, now()) RETURNING id
"""
ADVANCE = "UPDATE orders SET status = :status WHERE id = :id RETURNING id"
CHARGE = "INSERT INTO payments VALUES (:id, 1000, now()) RETURNING order_id"
SELL = "UPDATE stock SET version = version + 1 WHERE product_id = :product RETURNING version"
HOLD = "UPDATE stock SET available = available - 1 WHERE product_id = :product RETURNING available"


class Settings(BaseSettings):
    """Where the stores and the other two are."""

    bare_redis_url: str
    bare_database_url: str
    bare_cart_url: str
    bare_catalog_url: str


def create_app() -> Flask:
    """The routes of all three, which answer what a purchase of the benchmark looks at."""
    app, settings = Flask(__name__), Settings()  # type: ignore[call-arg]
    redis: Redis = Redis.from_url(settings.bare_redis_url, decode_responses=True)
    database = Database(
        "bare",
        settings.bare_database_url,
        pool_size=THREADS,
        wait_seconds=SECONDS,
        application_name="bare",
    )

    @app.get("/health")
    def health() -> dict[str, str]:
        return {}

    _serve_carts(app, redis)
    _serve_reservations(app, database)
    _serve_orders(app, redis, database, settings)
    return app


def _serve_carts(app: Flask, redis: Redis) -> None:
    @app.post("/api/carts")
    def open_cart() -> tuple[dict[str, str], int]:
        cart_id = new_id()
        redis.hset(f"bare:{cart_id}", "version", "0")
        return {"id": cart_id}, 201

    @app.post("/api/carts/<cart_id>/items")
    def add_item(cart_id: str) -> Any:
        wanted = request.get_json()
        redis.hset(f"bare:{cart_id}", "product", wanted["product_id"])
        return wanted

    @app.get("/api/carts/<cart_id>")
    def read_cart(cart_id: str) -> Any:
        return redis.hgetall(f"bare:{cart_id}")


def _serve_reservations(app: Flask, database: Database) -> None:
    @app.post("/api/reservations")
    def reserve() -> tuple[dict[str, str], int]:
        database.call(HOLD, request.get_json(), repeatable=False)
        return {}, 201


def _serve_orders(app: Flask, redis: Redis, database: Database, settings: Settings) -> None:
    cart, catalog = (
        ServiceClient(url, url, pool_size=THREADS, service_token="")
        for url in (settings.bare_cart_url, settings.bare_catalog_url)
    )

    @app.post("/api/orders")
    def check_out() -> tuple[dict[str, Any], int]:
        order_id, path = new_id(), f"/api/carts/{request.get_json()['cart_id']}"
        found = cart.call("GET", path, seconds=SECONDS, repeatable=True).body
        product = int(found["product"])
        database.call(OPEN, {"id": order_id}, repeatable=False)
        wanted = {"product": product % ROWS + 1}
        catalog.call("POST", "/api/reservations", body=wanted, seconds=SECONDS, repeatable=False)
        database.call(ADVANCE, {"id": order_id, "status": "paying"}, repeatable=False)
        database.call(CHARGE, {"id": order_id}, repeatable=False)
        database.call(ADVANCE, {"id": order_id, "status": "confirmed"}, repeatable=False)
        told = redis.pipeline(transaction=False)
        for _ in range(EVENTS):
            told.xadd("bare:events", {"event": order_id}, maxlen=1000)
        told.execute()
        database.call(SELL, wanted, repeatable=False)
        return {"status": "confirmed", "items": [{"product_id": product, "quantity": 1}]}, 201
