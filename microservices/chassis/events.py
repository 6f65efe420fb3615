"""CloudEvents 1.0 as Feira writes them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from chassis import correlation

# What every reader of JSON takes for a whole number.
MOST_LAMPORT = 2**53 - 1


@dataclass(frozen=True)
class Event:
    """One fact that happened, with a full snapshot of what it is about.

    Attributes:
        id: ULID; consumers recognise a repeated event by it.
        source: `/branch/service`.
        type: past tense, for example `stock.updated`.
        subject: what it is about; events of one subject are delivered in order.
        time: for people; nothing is ordered by it.
        lamport: logical clock of the source, above that of every event that had an effect on it.
        data: snapshot of the subject, with its `version`.
        context: of the request that it comes of: `requestid`, `traceparent`.
    """

    id: str
    source: str
    type: str
    subject: str
    time: str
    lamport: int
    data: dict[str, Any]
    context: correlation.Context = field(default_factory=dict)

    def document(self) -> dict[str, Any]:
        """The event in CloudEvents' JSON format."""
        return {
            "specversion": "1.0",
            "id": self.id,
            "source": self.source,
            "type": self.type,
            "subject": self.subject,
            "time": self.time,
            "datacontenttype": "application/json",
            "lamport": self.lamport,
            **self.context,
            "data": self.data,
        }

    @classmethod
    def parse(cls, document: dict[str, Any]) -> Event:
        """Read a CloudEvents document. Raises KeyError, TypeError or ValueError when it is none."""
        lamport = int(document["lamport"])
        if not 0 <= lamport <= MOST_LAMPORT:
            raise ValueError(f"lamport is {lamport}")
        return cls(
            id=str(document["id"]),
            source=str(document["source"]),
            type=str(document["type"]),
            subject=str(document["subject"]),
            time=str(document["time"]),
            lamport=lamport,
            data=dict(document["data"]),
            context=correlation.read(document),
        )
