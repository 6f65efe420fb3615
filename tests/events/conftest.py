"""A small PostgreSQL and a Redis for all tests of events; a fresh database for each."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cart.rig import RedisServer
from tests.events.rig import fresh_database
from tests.postgres_server import PostgresServer


@pytest.fixture(autouse=True)
def brief_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """A consumer that has nothing to do looks up soon: the tests wait for it in between."""
    monkeypatch.setattr("chassis.bus.redis_streams.BLOCK_MILLISECONDS", 100)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    server = PostgresServer(tmp_path_factory.mktemp("postgres"))
    yield server
    server.stop()


@pytest.fixture
def dsn(postgres: PostgresServer) -> str:
    return fresh_database(postgres)


@pytest.fixture(scope="session")
def redis_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    server = RedisServer(tmp_path_factory.mktemp("redis"))
    yield server
    server.kill()


@pytest.fixture
def redis(redis_of_the_session: RedisServer) -> RedisServer:
    redis_of_the_session.reset()
    return redis_of_the_session
