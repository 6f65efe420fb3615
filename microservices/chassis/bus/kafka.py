"""The event bus on Apache Kafka: one topic per publishing service, one group per consumer."""

from __future__ import annotations

from collections.abc import Sequence

from chassis.bus.port import Handler
from chassis.events import Event


class Publisher:
    """The sink of a service's outbox relay."""

    def __init__(self, url: str, service: str) -> None:
        raise SystemExit("cannot start, check the environment: EVENT_BUS_URL names Kafka")

    def publish(self, events: Sequence[Event], after: str | None = None) -> str:
        """See `port.Publisher`."""
        raise NotImplementedError

    def trim(self) -> None:
        """See `port.Publisher`."""


class Consumer:
    """One member of a consumer group."""

    def __init__(self, url: str, *, service: str, group: str, member: str, handle: Handler) -> None:
        raise SystemExit("cannot start, check the environment: EVENT_BUS_URL names Kafka")

    def cycle(self) -> bool:
        """See `port.Consumer`."""
        raise NotImplementedError

    def close(self) -> None:
        """See `port.Consumer`."""
