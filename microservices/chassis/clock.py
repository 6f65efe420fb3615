"""The clock that business code is given, so that a test can move it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol


class Clock(Protocol):
    """Tells the time of day; never used to order events (see `outbox`)."""

    def now(self) -> datetime:
        """The current time, aware, in UTC."""


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        return datetime.now(UTC)


def seconds_since(moment: str) -> float:
    """Seconds from a time in RFC 3339 until now; 0 for one that lies ahead. Raises ValueError."""
    return max(0.0, (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds())


def rfc3339(moment: datetime) -> str:
    """`2026-11-21T05:00:00.123Z`: UTC with milliseconds, as every answer and event writes it."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
