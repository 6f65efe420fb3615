"""The contract of an event bus and promise 15, held by a real Kafka in a container."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.docker.kafka_server import KafkaServer, require_image
from tests.docker.project import NAME
from tests.events import promises
from tests.events.conftest import dsn, postgres
from tests.events.suite import BusContract

__all__ = ["dsn", "postgres"]


@pytest.fixture(scope="module")
def server() -> Iterator[KafkaServer]:
    require_image()
    server = KafkaServer(f"{NAME}-kafka")
    yield server
    server.remove()


@pytest.mark.timeout(300)
class TestKafka(BusContract):
    @pytest.fixture
    def broker(self, server: KafkaServer) -> KafkaServer:
        return server


@pytest.mark.promise(15)
@pytest.mark.timeout(1800)
def test_relays_killed_between_publishing_and_taking_note(dsn: str, server: KafkaServer) -> None:
    promises.killed_relays_have_no_double_effect(dsn, server.url, "killed")


@pytest.mark.promise(15)
@pytest.mark.timeout(600)
def test_poison_among_many(dsn: str, server: KafkaServer) -> None:
    promises.poison_among_many_is_parked_and_replayable(dsn, server.url, "poisoned")
