"""The contract of an event bus, held by a real Kafka in a container."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.docker.kafka_server import IMAGE, KafkaServer, docker
from tests.events.suite import BusContract


@pytest.fixture(scope="module")
def server() -> Iterator[KafkaServer]:
    if docker("image", "inspect", IMAGE).returncode and docker("pull", IMAGE).returncode:
        pytest.skip(f"the image {IMAGE} is not here and cannot be pulled: Kafka is not tested")
    server = KafkaServer("feira-events-kafka")
    yield server
    server.remove()


@pytest.mark.timeout(180)
class TestKafka(BusContract):
    @pytest.fixture
    def broker(self, server: KafkaServer) -> KafkaServer:
        return server
