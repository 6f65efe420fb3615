"""The event bus on Apache Kafka: one topic per publishing service, one group per consumer.

An event's key is its subject, so all of a subject are in one partition and go to one member.
Nothing leaves a topic by age: `Publisher.trim` deletes what every group has committed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Literal

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    OffsetSpec,
)

from chassis.bus.kafka_client import (
    ANSWER_SECONDS,
    client_settings,
    ensure_events,
    producer_for,
    results_of,
    send,
    topic_of,
)
from chassis.bus.port import BusAway, DataLost
from chassis.events import Event


class Publisher:
    """The sink of a service's outbox relay. A position is the end of each partition."""

    def __init__(self, url: str, service: str) -> None:
        self._settings = client_settings(url)
        self._topic = topic_of(service)
        self._admin = AdminClient(self._settings)
        self._producer: Producer | None = None

    def publish(self, events: Sequence[Event], after: str | None = None) -> str:
        """See `port.Publisher`."""
        reached = _reached(after)
        if not events or self._producer is None:
            reached = self._look(reached)
        if not events:
            return _position(reached)
        if self._producer is None:
            self._producer = producer_for(self._settings)
        pairs = [(event.subject, json.dumps(event.document())) for event in events]
        try:
            places = send(self._producer, self._topic, pairs)
        except BusAway:
            # Nothing of this batch may go out later, behind what is sent then.
            self._producer.purge()
            self._producer = None
            raise
        # By partition, the first place comes first; the last one stays in the position.
        for partition, offset in places:
            if offset < reached.get(partition, 0):
                raise DataLost(None)
            reached[partition] = offset + 1
        return _position(reached)

    def _look(self, reached: dict[str, int]) -> dict[str, int]:
        ensure_events(self._admin, self._topic)
        ends = {str(p): offset for p, offset in self._offsets("latest").items()}
        if any(ends.get(partition, 0) < offset for partition, offset in reached.items()):
            raise DataLost(None)
        return ends

    def _offsets(self, which: Literal["earliest", "latest"]) -> dict[int, int]:
        wanted = {partition: getattr(OffsetSpec, which)() for partition in self._partitions()}
        futures = self._admin.list_offsets(wanted, request_timeout=ANSWER_SECONDS)
        return {place.partition: found.offset for place, found in results_of(futures)}

    def _partitions(self) -> list[TopicPartition]:
        try:
            topics = self._admin.list_topics(self._topic, timeout=ANSWER_SECONDS).topics
        except KafkaException as error:
            raise BusAway(f"Kafka does not answer: {error}") from error
        return [TopicPartition(self._topic, number) for number in topics[self._topic].partitions]

    def trim(self) -> None:
        """See `port.Publisher`."""
        ensure_events(self._admin, self._topic)
        floors: dict[int, int] = {}
        partitions = self._partitions()
        for group in self._groups():
            request = [ConsumerGroupTopicPartitions(group, partitions)]
            futures = self._admin.list_consumer_group_offsets(
                request, request_timeout=ANSWER_SECONDS
            )
            for _, found in results_of(futures):
                committed = {place.partition: place.offset for place in found.topic_partitions}
                if all(offset < 0 for offset in committed.values()):
                    continue  # a group of another topic
                for number, offset in committed.items():
                    floors[number] = min(floors.get(number, offset), max(0, offset))
        if floors:
            self._delete_below(floors)

    def _groups(self) -> list[str]:
        future = self._admin.list_consumer_groups(request_timeout=ANSWER_SECONDS)
        return [group.group_id for _, found in results_of({"": future}) for group in found.valid]

    def _delete_below(self, floors: dict[int, int]) -> None:
        begins = self._offsets("earliest")
        wanted = [
            TopicPartition(self._topic, number, floor)
            for number, floor in floors.items()
            if floor > begins.get(number, 0)
        ]
        if wanted:
            results_of(self._admin.delete_records(wanted, request_timeout=ANSWER_SECONDS))


def _reached(position: str | None) -> dict[str, int]:
    if position is None:
        return {}
    try:
        return {str(number): int(end) for number, end in json.loads(position).items()}
    except (ValueError, AttributeError):
        # The bus was another one then.
        raise DataLost(None) from None


def _position(reached: dict[str, int]) -> str:
    return json.dumps(reached, sort_keys=True)
