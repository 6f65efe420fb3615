"""Consumers of the event bus on Apache Kafka: see `kafka` for its publishers."""

from __future__ import annotations

from collections import deque

import structlog
from confluent_kafka import (
    Consumer as KafkaConsumer,
)
from confluent_kafka import (
    KafkaError,
    KafkaException,
    Message,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient

from chassis.bus.attempts import Attempts
from chassis.bus.kafka_client import ANSWER_SECONDS, client_settings, ensure_events, topic_of
from chassis.bus.kafka_letters import write_letter
from chassis.bus.kafka_tries import READ_COUNT, Tries, word_of
from chassis.bus.port import BusAway, Handler, away

READ_SECONDS = 1.0
# A member that is gone without leaving is given up after this.
SESSION_MILLISECONDS = 10_000

log = structlog.get_logger()


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
            "heartbeat.interval.ms": SESSION_MILLISECONDS // 3,
            "topic.metadata.refresh.interval.ms": 10_000,
        }
        self._topic = topic_of(service)
        self._url, self._service, self._group = url, service, group
        self._attempts = Attempts(group, handle, self._set_aside)
        self._tries = Tries()
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
                self._take(consumer, self._fetched[0])
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
            ensure_events(AdminClient(client_settings(self._url)), self._topic)
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
                self._tries.assigned(place)
        except KafkaException as error:
            log.warning("group_not_begun", group=self._group, error=str(error)[:300])
        consumer.incremental_assign(partitions)

    def _lost(self, consumer: KafkaConsumer, partitions: list[TopicPartition]) -> None:
        self._commit(consumer)
        gone = {place.partition for place in partitions}
        self._tries.lost(gone)
        self._fetched = deque(each for each in self._fetched if each.partition() not in gone)
        self._handled = {number: n for number, n in self._handled.items() if number not in gone}

    def _fetch(self, consumer: KafkaConsumer) -> None:
        for message in consumer.consume(READ_COUNT, timeout=READ_SECONDS):
            error = message.error()
            if error is None:
                self._fetched.append(message)
            elif error.code() == KafkaError.UNKNOWN_TOPIC_OR_PART:
                ensure_events(AdminClient(client_settings(self._url)), self._topic)
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

    def _take(self, consumer: KafkaConsumer, message: Message) -> None:
        place = f"{message.topic()}/{message.partition()}/{message.offset()}"
        document = (message.value() or b"").decode("utf-8", "replace")
        tried = self._tries.of(message)
        self._note(consumer, message, tried + 1)
        try:
            self._attempts.take(place, document, tried)
        except away():
            self._note(consumer, message, tried)
            raise
        except Exception:
            self._tries.failed(message)
            raise
        self._fetched.popleft()
        self._handled[message.partition() or 0] = (message.offset() or 0) + 1

    def _note(self, consumer: KafkaConsumer, message: Message, tried: int) -> None:
        """Commit what is before a message, and how often that one was begun."""
        if not self._tries.is_noted(message):
            return
        try:
            consumer.commit(offsets=[word_of(self._topic, message, tried)], asynchronous=False)
        except KafkaException as error:
            raise BusAway(f"Kafka does not take note: {error}") from error
        self._handled.pop(message.partition() or 0, None)

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
