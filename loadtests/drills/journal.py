"""What shoppers saw: every call and every purchase, by time on the monotonic clock, in seconds."""

from __future__ import annotations

import time
from dataclasses import dataclass, field

SOLD = frozenset({"confirmed", "preparing", "shipped", "delivered"})
# Added to the monotonic clock it gives Unix time, in which other processes say when.
UNIX_OFFSET = time.time() - time.monotonic()


@dataclass(frozen=True)
class Call:
    """One request as its client saw it; `status` is 0 when no answer came.

    Attributes:
        kind: "order", "cart" or "read".
        said_when: whether the answer told when to come back (Retry-After).
    """

    kind: str
    began: float
    ended: float
    status: int
    said_when: bool = False

    @property
    def verdict(self) -> str:
        """`ok`, `fail` (refused for a reason) or `unknown` (no usable answer)."""
        if self.status == 0 or self.status >= 500:
            return "unknown"
        return "ok" if self.status < 400 else "fail"


@dataclass
class Purchase:
    """A checkout under one Idempotency-Key, sent again until its outcome is known.

    Attributes:
        began: when it was sent first.
        order_id, acknowledged: once it was confirmed, and when that answer came.
        refused: the status of a refusal for good.
    """

    owner: str
    key: str
    body: dict[str, object]
    units: dict[int, int]
    began: float
    attempts: int = 0
    order_id: str | None = None
    acknowledged: float | None = None
    refused: int | None = None

    @property
    def known(self) -> bool:
        """Whether its outcome is known."""
        return self.order_id is not None or self.refused is not None


@dataclass
class Journal:
    """Everything that one load did. Threads only ever append."""

    calls: list[Call] = field(default_factory=list)
    purchases: list[Purchase] = field(default_factory=list)
    # Orders that a key was answered with when it was sent once more after its answer.
    replays: list[tuple[Purchase, str]] = field(default_factory=list)

    def acknowledged(self) -> list[float]:
        """When purchases were confirmed, in order of time."""
        return sorted(each.acknowledged for each in self.purchases if each.acknowledged)

    def acknowledged_after(self, moment: float) -> int:
        """How many purchases that began after a moment were confirmed."""
        return sum(each.began >= moment and each.order_id is not None for each in self.purchases)
