"""A real Kafka in a container of the tests' own: one node that is broker and controller."""

from __future__ import annotations

import os
import subprocess
from contextlib import closing, suppress

import pytest
from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from chassis.bus.kafka_client import client_settings
from local.web import free_ports
from tests.shop import wait_until

IMAGE = os.environ.get("KAFKA_IMAGE", "apache/kafka:3.9.1")


class KafkaServer:
    """Starts when made; can be frozen, killed and started again with its data."""

    def __init__(self, name: str) -> None:
        self.name = name
        port = free_ports()["port"]
        self.address = f"127.0.0.1:{port}"
        self.url = f"kafka://{self.address}"
        settings = {
            "KAFKA_NODE_ID": "1",
            "KAFKA_PROCESS_ROLES": "broker,controller",
            "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
            "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
            "KAFKA_LISTENERS": f"PLAINTEXT://:{port},CONTROLLER://:9093",
            "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://{self.address}",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT",
            "KAFKA_LOG_DIRS": "/var/lib/kafka/data",
            "KAFKA_OFFSETS_TOPIC_NUM_PARTITIONS": "4",
            "KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS": "1000",
            "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
            "KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS": "0",
            "KAFKA_HEAP_OPTS": "-Xmx256m -Xms128m",
        }
        options = [f"--env={key}={value}" for key, value in settings.items()]
        docker("rm", "--force", "--volumes", name)
        docker(
            *("create", "--name", name, "--memory=640m", f"--publish={self.address}:{port}"),
            *options,
            IMAGE,
        )
        self.start()

    @property
    def admin(self) -> AdminClient:
        """A client of the tests' own."""
        return AdminClient(client_settings(self.url))

    def answers(self) -> bool:
        """Whether it does."""
        with suppress(KafkaException):
            return bool(self.admin.list_topics(timeout=2).brokers)
        return False

    def start(self) -> None:
        """Start it and wait until it answers."""
        docker("start", self.name)
        wait_until(self.answers, 240)

    def kill(self) -> None:
        """End it at once; its data stays."""
        docker("kill", self.name)

    def freeze(self) -> None:
        """It keeps its connections and says nothing."""
        docker("pause", self.name)

    def thaw(self) -> None:
        """It goes on."""
        docker("unpause", self.name)

    def kept(self, service: str) -> int:
        """How many events are in a service's topic."""
        topic, total = f"events.{service}", 0
        with closing(Consumer(client_settings(self.url) | {"group.id": "counting"})) as reader:
            topics = reader.list_topics(topic, timeout=10).topics
            for number in topics[topic].partitions:
                low, high = reader.get_watermark_offsets(TopicPartition(topic, number), timeout=10)
                total += high - low
        return total

    def wipe(self, service: str) -> None:
        """Lose a service's topic."""
        topic = f"events.{service}"
        admin = self.admin  # which has to live until it has the answer
        admin.delete_topics([topic])[topic].result(20)
        wait_until(lambda: topic not in admin.list_topics(timeout=10).topics, 20)

    def put(self, service: str, text: str) -> None:
        """Append something, whatever it is."""
        producer = Producer(client_settings(self.url))
        producer.produce(f"events.{service}", value=text, key="put")
        assert producer.flush(10) == 0

    def remove(self) -> None:
        """Leave nothing of it."""
        docker("rm", "--force", "--volumes", self.name)


def require_image() -> None:
    """Skip the test, and say so, where there is no Kafka to be had."""
    if docker("image", "inspect", IMAGE).returncode and docker("pull", IMAGE).returncode:
        pytest.skip(f"the image {IMAGE} is not here and cannot be pulled: Kafka is not tested")


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run docker; a failure is in what it returns."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, check=False)
