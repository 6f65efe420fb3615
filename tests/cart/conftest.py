"""One Redis for all tests of the cart; a fresh service and catalog for each."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cart.app import create_app
from cart.settings import Settings
from tests.cart.rig import SERVICE_TOKEN, Catalog, MakeShop, RedisServer, Shop, StillClock


@pytest.fixture(scope="session")
def redis_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
def other_redis(tmp_path: Path) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path)
    yield server
    server.kill()


@pytest.fixture
def catalog() -> Iterator[Catalog]:
    catalog = Catalog()
    yield catalog
    catalog.stop()


@pytest.fixture
def make_shop(redis_server: RedisServer, catalog: Catalog) -> MakeShop:
    redis_server.reset()

    def make(*, redis: RedisServer = redis_server, **settings: Any) -> Shop:
        chosen: dict[str, Any] = {
            "service_token": SERVICE_TOKEN,
            "event_bus_url": redis_server.url,
            "cart_redis_url": redis.url,
            "catalog_url": f"http://127.0.0.1:{catalog.port}",
            "log_level": "error",
            **settings,
        }
        return Shop(create_app(Settings(**chosen), StillClock()), redis, catalog)

    return make


@pytest.fixture
def shop(make_shop: MakeShop) -> Shop:
    return make_shop()
