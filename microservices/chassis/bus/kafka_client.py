"""What publisher, consumer and dead letters ask of Kafka in the same way, with bounded waits."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from typing import Any, TypeVar

from confluent_kafka import KafkaError, KafkaException, Message, Producer
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]

from chassis.bus.port import BusAway

Key = TypeVar("Key")
Value = TypeVar("Value")

PARTITIONS = 8
ANSWER_SECONDS = 3.0
SEND_SECONDS = 5.0

# What librdkafka has to say of brokers that come and go is told by the errors that we raise.
_silent = logging.getLogger("librdkafka")
_silent.addHandler(logging.NullHandler())
_silent.propagate = False


def client_settings(url: str) -> dict[str, Any]:
    """librdkafka's settings that every client has: where Kafka is, and how long to wait for it."""
    return {
        "bootstrap.servers": url.removeprefix("kafka://").rstrip("/"),
        "socket.timeout.ms": 5000,
        "socket.connection.setup.timeout.ms": 2000,
        "reconnect.backoff.max.ms": 1000,
        "allow.auto.create.topics": False,
        "logger": _silent,
    }


def producer_for(settings: Mapping[str, Any]) -> Producer:
    """A producer that neither loses nor repeats nor reorders what it sends while it lives."""
    return Producer(
        {
            **settings,
            "enable.idempotence": True,
            "acks": "all",
            "linger.ms": 2,
            "delivery.timeout.ms": int(SEND_SECONDS * 1000),
            "request.timeout.ms": 3000,
        }
    )


def send(
    producer: Producer, topic: str, pairs: Iterable[tuple[str, str | None]]
) -> list[tuple[str, int]]:
    """Append (key, value) pairs in order, and wait until all are safe.

    Returns:
        (partition, offset) of each.

    Raises:
        BusAway: not all were taken within the bounded wait; some may have been.
    """
    reports: list[tuple[KafkaError | None, Message]] = []
    try:
        for key, value in pairs:
            producer.produce(
                topic,
                key=key,
                value=value,
                on_delivery=lambda error, message: reports.append((error, message)),
            )
        left = producer.flush(SEND_SECONDS + 1)
    except (KafkaException, BufferError) as error:
        raise BusAway(f"Kafka took nothing: {error}") from error
    errors = [error.str() for error, _ in reports if error is not None]
    if left or errors:
        raise BusAway(f"Kafka did not take everything: {errors[0] if errors else 'no answer'}")
    return [(str(message.partition()), message.offset() or 0) for _, message in reports]


def topic_of(service: str) -> str:
    """The topic that a service publishes to."""
    return f"events.{service}"


def ensure_events(admin: AdminClient, topic: str) -> None:
    """Make a service's topic unless it is there. Raises BusAway."""
    ensure_topic(admin, topic, PARTITIONS, {"cleanup.policy": "delete", "retention.ms": "-1"})


def ensure_topic(admin: AdminClient, topic: str, partitions: int, config: dict[str, str]) -> None:
    """Make a topic unless it is there. Raises BusAway."""
    wanted = NewTopic(topic, num_partitions=partitions, replication_factor=-1, config=config)
    try:
        future = admin.create_topics([wanted], request_timeout=ANSWER_SECONDS)[topic]
        future.result(ANSWER_SECONDS + 1)
    except (KafkaException, TimeoutError) as error:
        if not _is(error, KafkaError.TOPIC_ALREADY_EXISTS):
            raise BusAway(f"Kafka does not answer: {error}") from error


def results_of(futures: Mapping[Key, Future[Value]]) -> list[tuple[Key, Value]]:
    """What an admin client's futures came to. Raises BusAway."""
    try:
        return [(key, future.result(ANSWER_SECONDS + 1)) for key, future in futures.items()]
    except (KafkaException, TimeoutError) as error:
        raise BusAway(f"Kafka does not answer: {error}") from error


def _is(error: BaseException, code: int) -> bool:
    first = error.args[0] if error.args else None
    return isinstance(first, KafkaError) and first.code() == code
