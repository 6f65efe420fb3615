"""Where a system is saturated: throughput no longer grows with the people who come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# Of what a user got done while there were few: below that, more users only wait for each other.
KEPT = 0.8
# Stages below it after which there is no need to go on.
ENOUGH = 2


@dataclass(frozen=True)
class Stage:
    """So many users for a while. `good` are right answers a second; p95 in milliseconds."""

    users: int
    good: float
    p95_ms: float
    refused: int = 0
    failed: int = 0

    @property
    def each(self) -> float:
        """What one user got done a second."""
        return self.good / self.users if self.users else 0.0


def knee(stages: Sequence[Stage]) -> Stage | None:
    """The last stage at which a user still got done what few users do; None before it is passed.

    Think times make each user ask at a pace of their own: as long as there is capacity, throughput
    grows with their number.
    """
    if not stages:
        return None
    wanted = KEPT * max(stage.each for stage in stages)
    passed = [at for at, stage in enumerate(stages) if stage.each >= wanted]
    last = passed[-1]
    return stages[last] if last + 1 < len(stages) else None


def is_over(stages: Sequence[Stage]) -> bool:
    """Whether so many stages lie beyond the knee that it will not move any more."""
    found = knee(stages)
    return found is not None and len(stages) - 1 - stages.index(found) >= ENOUGH


def table(stages: Sequence[Stage]) -> list[str]:
    """The stages in lines, the knee marked."""
    found = knee(stages)
    lines = ["  users   right answers/s   of one user   p95 ms   429   failed"]
    for stage in stages:
        mark = "  <- knee" if stage is found else ""
        lines.append(
            f"{stage.users:7d} {stage.good:17.1f} {stage.each:13.2f} {stage.p95_ms:8.0f}"
            f" {stage.refused:5d} {stage.failed:8d}{mark}"
        )
    return lines
