"""Dead letters in Kafka: a compacted topic per group, in which a null ends a letter."""

from __future__ import annotations

import functools
import json

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from chassis.bus.kafka_client import (
    ANSWER_SECONDS,
    client_settings,
    ensure_topic,
    producer_for,
    send,
)
from chassis.bus.port import BusAway, Letter

COMPACTED = {"cleanup.policy": "compact"}


def dead_topic_of(group: str) -> str:
    """The topic of what a group has set aside."""
    return f"dead.{group}"


def write_letter(url: str, group: str, place: str, service: str, document: str, error: str) -> None:
    """Keep a letter under the place that its event has on the bus. Raises BusAway."""
    letter = {"service": service, "event": document, "error": error}
    _put(url, group, place, json.dumps(letter))


def _put(url: str, group: str, key: str, value: str | None) -> None:
    ensure_topic(AdminClient(client_settings(url)), dead_topic_of(group), 1, COMPACTED)
    send(_producer(url), dead_topic_of(group), [(key, value)])


@functools.cache
def _producer(url: str) -> Producer:
    return producer_for(client_settings(url))


class DeadLetters:
    """See `port.DeadLetters`."""

    def __init__(self, url: str, group: str) -> None:
        self._url = url
        self._group = group

    def letters(self) -> list[Letter]:
        """See `port.DeadLetters`."""
        topic = dead_topic_of(self._group)
        ensure_topic(AdminClient(client_settings(self._url)), topic, 1, COMPACTED)
        found: dict[str, Letter] = {}
        for key, value in self._read(topic):
            found.pop(key, None)
            if value is not None:
                letter = json.loads(value)
                found[key] = Letter(key, letter["service"], letter["event"], letter["error"])
        return list(found.values())

    def remove(self, letter: Letter) -> None:
        """See `port.DeadLetters`."""
        _put(self._url, self._group, letter.id, None)

    def _read(self, topic: str) -> list[tuple[str, bytes | None]]:
        # The group is never joined: nothing is committed.
        reader = Consumer(
            client_settings(self._url)
            | {"group.id": f"{self._group}-letters", "enable.auto.commit": False}
        )
        try:
            low, high = reader.get_watermark_offsets(
                TopicPartition(topic, 0), timeout=ANSWER_SECONDS
            )
            reader.assign([TopicPartition(topic, 0, low)])
            read: list[tuple[str, bytes | None]] = []
            while reader.position([TopicPartition(topic, 0)])[0].offset < high > low:
                messages = reader.consume(500, timeout=ANSWER_SECONDS)
                if not messages:
                    raise BusAway("Kafka does not deliver its dead letters.")
                read += [((m.key() or b"").decode(), m.value()) for m in messages if not m.error()]
            return read
        except KafkaException as error:
            raise BusAway(f"Kafka does not answer: {error}") from error
        finally:
            reader.close()
