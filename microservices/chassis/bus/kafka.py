"""The event bus on Apache Kafka: one topic per publishing service, one group per consumer.

An event's key is its subject, so all of a subject are in one partition and go to one member.
Nothing leaves a topic by age: `Publisher.trim` deletes what every group has committed.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Sequence
from typing import Literal

import structlog
from confluent_kafka import (
    Consumer as KafkaConsumer,
)
from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    Message,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    OffsetSpec,
)

from chassis.bus.attempts import Attempts
from chassis.bus.kafka_client import (
    ANSWER_SECONDS,
    client_settings,
    ensure_topic,
    producer_for,
    results_of,
    send,
)
from chassis.bus.kafka_letters import write_letter
from chassis.bus.port import BusAway, DataLost, Handler
from chassis.events import Event

PARTITIONS = 8
READ_COUNT = 100
READ_SECONDS = 1.0
# A member that is gone without leaving is given up after this.
SESSION_MILLISECONDS = 10_000

log = structlog.get_logger()


def topic_of(service: str) -> str:
    """The topic that a service publishes to."""
    return f"events.{service}"


def _ensure(admin: AdminClient, topic: str) -> None:
    ensure_topic(admin, topic, PARTITIONS, {"cleanup.policy": "delete", "retention.ms": "-1"})


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
        _ensure(self._admin, self._topic)
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
        _ensure(self._admin, self._topic)
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


class Consumer:
    """One member of a consumer group on one service's topic.

    What was fetched is handled in order, and then committed. Where a partition goes to another
    member, that one begins at what was committed.
    """

    def __init__(self, url: str, *, service: str, group: str, member: str, handle: Handler) -> None:
        self._settings = client_settings(url) | {
            "group.id": group,
            "client.id": member,
            "enable.auto.commit": False,
            "enable.auto.offset.store": False,
            "auto.offset.reset": "earliest",
            "partition.assignment.strategy": "cooperative-sticky",
            "session.timeout.ms": SESSION_MILLISECONDS,
            "topic.metadata.refresh.interval.ms": 10_000,
        }
        self._topic = topic_of(service)
        self._url, self._service, self._group = url, service, group
        self._attempts = Attempts(group, handle, self._set_aside)
        self._consumer: KafkaConsumer | None = None
        self._down = False
        self._fetched: deque[Message] = deque()
        self._handled: dict[int, int] = {}

    def cycle(self) -> bool:
        """See `port.Consumer`."""
        consumer = self._connected()
        if self._fetched:
            self._stay(consumer)
        else:
            self._fetch(consumer)
        some = bool(self._fetched)
        try:
            while self._fetched:
                self._take(self._fetched[0])
        finally:
            self._commit(consumer)
        return some

    def close(self) -> None:
        """See `port.Consumer`."""
        if self._consumer is not None:
            self._consumer.close()
            self._consumer = None
            self._fetched.clear()
            self._handled.clear()

    def _connected(self) -> KafkaConsumer:
        if self._consumer is None:
            _ensure(AdminClient(client_settings(self._url)), self._topic)
            consumer = KafkaConsumer(self._settings | {"error_cb": self._heard})
            consumer.subscribe(
                [self._topic], on_assign=self._assigned, on_revoke=self._lost, on_lost=self._lost
            )
            self._consumer = consumer
        return self._consumer

    def _heard(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._down = True

    def _assigned(self, consumer: KafkaConsumer, partitions: list[TopicPartition]) -> None:
        # A group that has committed nothing yet would not keep anything from being trimmed.
        try:
            for place in consumer.committed(partitions, timeout=ANSWER_SECONDS):
                if place.offset < 0:
                    place.offset, _ = consumer.get_watermark_offsets(place, timeout=ANSWER_SECONDS)
                    consumer.commit(offsets=[place], asynchronous=False)
        except KafkaException as error:
            log.warning("group_not_begun", group=self._group, error=str(error)[:300])
        consumer.incremental_assign(partitions)

    def _lost(self, consumer: KafkaConsumer, partitions: list[TopicPartition]) -> None:
        self._commit(consumer)
        gone = {place.partition for place in partitions}
        self._fetched = deque(each for each in self._fetched if each.partition() not in gone)
        self._handled = {number: n for number, n in self._handled.items() if number not in gone}

    def _fetch(self, consumer: KafkaConsumer) -> None:
        for message in consumer.consume(READ_COUNT, timeout=READ_SECONDS):
            error = message.error()
            if error is None:
                self._fetched.append(message)
            elif error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                _ensure(AdminClient(client_settings(self._url)), self._topic)
            elif error.code() != KafkaError._PARTITION_EOF:
                raise BusAway(f"Kafka does not deliver: {error.str()}")
        if self._down and not self._fetched:
            try:
                consumer.list_topics(self._topic, timeout=ANSWER_SECONDS)
            except KafkaException as error:
                raise BusAway(f"Kafka does not answer: {error}") from error
        self._down = False

    def _stay(self, consumer: KafkaConsumer) -> None:
        """Remain a member while an event waits to be tried again, and fetch no others."""
        held = consumer.assignment()
        consumer.pause(held)
        for message in consumer.consume(READ_COUNT, timeout=0):
            if message.error() is None:
                self._fetched.append(message)
        consumer.resume(consumer.assignment())

    def _take(self, message: Message) -> None:
        place = f"{message.topic()}/{message.partition()}/{message.offset()}"
        value = message.value()
        self._attempts.take(place, (value or b"").decode("utf-8", "replace"))
        self._fetched.popleft()
        self._handled[message.partition() or 0] = (message.offset() or 0) + 1

    def _commit(self, consumer: KafkaConsumer) -> None:
        offsets = [TopicPartition(self._topic, *each) for each in self._handled.items()]
        if not offsets:
            return
        try:
            consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            # Tried again with the next batch; whoever begins before that repeats these effects.
            log.warning("not_committed", group=self._group, error=str(error)[:300])
            return
        self._handled.clear()

    def _set_aside(self, place: str, document: str, error: str) -> None:
        write_letter(self._url, self._group, place, self._service, document, error)
