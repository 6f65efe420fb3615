"""How often the event at which each partition stands was begun.

Kafka counts no deliveries. But with the offset that a group commits it keeps a word of the group's
own: here the number of tries of the event at that offset, so that whoever gets the partition after
a process that died knows of them. It is written before a try, and costs a commit each. So it is
written only where it may be needed: for as many events of a partition as a member that is gone may
have fetched, and for one that failed.
"""

from __future__ import annotations

from collections.abc import Iterable

from confluent_kafka import Message, TopicPartition

# The most events that a member fetches at once.
READ_COUNT = 100


class Tries:
    """Of the partitions that this member has."""

    def __init__(self) -> None:
        # Partition → offset of the event that it stands at, and how often that was begun.
        self._begun: dict[int, tuple[int, int]] = {}
        # Partition → the offset up to which each try is written down.
        self._noted: dict[int, int] = {}

    def assigned(self, place: TopicPartition) -> None:
        """A partition is this member's from now on.

        Args:
            place: with the offset that its group has committed, and the word with it.
        """
        word = place.metadata or ""
        self._begun[place.partition] = (place.offset, int(word) if word.isdigit() else 0)
        self._noted[place.partition] = place.offset + READ_COUNT

    def lost(self, partitions: Iterable[int]) -> None:
        """Partitions are another member's."""
        for number in partitions:
            self._begun.pop(number, None)
            self._noted.pop(number, None)

    def of(self, message: Message) -> int:
        """How often a message was begun, as far as it is known."""
        offset, count = self._begun.get(message.partition() or 0, (-1, 0))
        return count if offset == message.offset() else 0

    def failed(self, message: Message) -> None:
        """A message was begun once more, and is to be tried again."""
        number, offset = message.partition() or 0, message.offset() or 0
        self._begun[number] = (offset, self.of(message) + 1)
        self._noted[number] = max(offset + 1, self._noted.get(number, 0))

    def is_noted(self, message: Message) -> bool:
        """Whether a try of it is to be written down before it begins."""
        return (message.offset() or 0) < self._noted.get(message.partition() or 0, 0)


def word_of(topic: str, message: Message, tried: int) -> TopicPartition:
    """What is committed to say that a message was begun so often."""
    return TopicPartition(topic, message.partition() or 0, message.offset() or 0, str(tried))
