"""The event bus: a port with two implementations, chosen by the scheme of EVENT_BUS_URL.

`redis://` is Redis Streams, `kafka://host:9092[,host:9092]` is Apache Kafka. Both keep the same
contract (`tests/events/suite.py`): events of one subject are handled in order, each at least once,
acknowledged after its effect; one that keeps failing is set aside as a dead letter.
"""

from __future__ import annotations

from chassis.bus.port import (
    MOST_ATTEMPTS,
    BusAway,
    Consumer,
    DataLost,
    DeadLetters,
    Handler,
    Letter,
    Publisher,
    away,
)

__all__ = [
    "MOST_ATTEMPTS",
    "BusAway",
    "Consumer",
    "DataLost",
    "DeadLetters",
    "Handler",
    "Letter",
    "Publisher",
    "away",
    "consumer",
    "dead_letters",
    "publisher",
]

KAFKA = "kafka://"


def publisher(url: str, service: str) -> Publisher:
    """What a service's outbox is delivered to. Nothing connects before the first call.

    Args:
        url: EVENT_BUS_URL.
        service: who publishes.
    """
    if url.startswith(KAFKA):
        from chassis.bus import kafka

        return kafka.Publisher(url, service)
    from chassis.bus import redis_streams

    return redis_streams.Publisher(redis_streams.connect(url), service)


def consumer(url: str, *, service: str, group: str, member: str, handle: Handler) -> Consumer:
    """One member of a group that shares the events of a service. Nothing connects before a cycle.

    Args:
        url: EVENT_BUS_URL.
        service: whose events.
        group: the consuming service; every group gets every event.
        member: this process among those of its group.
        handle: gives one event its effect; idempotent, because an event may come again.
    """
    if url.startswith(KAFKA):
        from chassis.bus import kafka_consumer as kafka

        return kafka.Consumer(url, service=service, group=group, member=member, handle=handle)
    from chassis.bus import redis_streams

    return redis_streams.Consumer(redis_streams.connect(url), service, group, member, handle)


def dead_letters(url: str, group: str) -> DeadLetters:
    """What a group has set aside. Nothing connects before the first call."""
    if url.startswith(KAFKA):
        from chassis.bus import kafka_letters

        return kafka_letters.DeadLetters(url, group)
    from chassis.bus import redis_streams

    return redis_streams.DeadLetters(redis_streams.connect(url), group)
