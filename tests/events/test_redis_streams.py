"""The contract of an event bus, held by Redis Streams."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.cart.rig import RedisServer
from tests.events.suite import BusContract


class Streams(RedisServer):
    """A Redis whose data survives a kill."""

    options = "--appendonly yes --appendfsync always"

    def kept(self, service: str) -> int:
        return int(self.client.xlen(f"events:{service}"))

    def wipe(self, service: str) -> None:
        self.client.delete(f"events:{service}")

    def put(self, service: str, text: str) -> None:
        self.client.xadd(f"events:{service}", {"event": text})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Streams]:
    server = Streams(tmp_path_factory.mktemp("streams"))
    yield server
    server.client.close()
    server.kill()


class TestRedisStreams(BusContract):
    @pytest.fixture
    def broker(self, server: Streams, monkeypatch: pytest.MonkeyPatch) -> Streams:
        monkeypatch.setattr("chassis.bus.redis_streams.CLAIM_IDLE_MILLISECONDS", 300)
        return server
