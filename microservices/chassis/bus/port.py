"""What the services ask of an event bus, whichever it is."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from redis.exceptions import RedisError

from chassis.events import Event
from chassis.problems import Unavailable, absent_database

Handler = Callable[[Event], None]

MOST_ATTEMPTS = 5


class BusAway(Unavailable):
    """The bus could not be asked within its bounded wait; what was sent may or may not be there."""


def away() -> tuple[type[Exception], ...]:
    """What a handler raises when a store or a service that it needs cannot be asked."""
    return (Unavailable, RedisError, *absent_database())


class DataLost(Exception):
    """The bus does not have what it had acknowledged: it was made anew, or lost its end.

    Attributes:
        kept: id of the last event that it still has, or None when that is not known.
    """

    def __init__(self, kept: str | None) -> None:
        super().__init__(f"the bus lost events; the last one it kept is {kept or 'not known'}")
        self.kept = kept


class Publisher(Protocol):
    """Appends the events of one service."""

    def publish(self, events: Sequence[Event], after: str | None = None) -> str:
        """Append a batch in order; returns once the bus has taken all of it.

        Args:
            events: may be none, to see whether the bus still has everything.
            after: what the publication before this one returned; None for the first.

        Returns:
            The position of the batch's end, in the bus's own words.

        Raises:
            DataLost: the bus does not reach as far as `after`; what was published since the loss
                is to be published again.
            BusAway or RedisError: it did not answer in time.
        """

    def trim(self) -> None:
        """Forget what every consumer group has acknowledged, and nothing above it."""


class Consumer(Protocol):
    """One member of a consumer group on one service's events."""

    def cycle(self) -> bool:
        """Handle what is there, waiting up to a second for it; True when something was.

        Events are handled in order and acknowledged after their effect, so one may come again
        after a crash. What raises one of `away()` stays and is tried again without end; what
        raises anything else, or ends its process, `MOST_ATTEMPTS` times, is set aside as a dead
        letter. The bus keeps the count, and may miss the first try of those that end a process.

        Raises:
            Exception: what the handler raised, or the bus when it is away.
        """

    def close(self) -> None:
        """Leave the group, so that others take over at once."""


@dataclass(frozen=True)
class Letter:
    """An event that was given up.

    Attributes:
        id: its name among the dead letters of its group.
        service: who published it.
        document: the event as it was on the bus: JSON, unless that was the trouble.
        error: what the handler raised the last time.
    """

    id: str
    service: str
    document: str
    error: str


class DeadLetters(Protocol):
    """What a consumer group has set aside."""

    def letters(self) -> list[Letter]:
        """All of them, the oldest first. Raises BusAway or RedisError."""

    def remove(self, letter: Letter) -> None:
        """Forget one, after it was dealt with."""
