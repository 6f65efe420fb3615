"""What the benchmark asks of Feira, and whether this run shows it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from statistics import median

CACHED_READS_OF_STATIC = 0.8
THRIFT_OF_STATIC = 0.7
PAGE_OF_A_QUERY = 0.6
CART_ADD_OF_HELLO = 0.5
PURCHASE_CPU_MS = 6.0
P99_OF_P50 = 5.0
IDLE_PSS_MB = 900.0

# A round is left out when others took more of the machine than this, or the hypervisor did.
MOST_FOREIGN = 0.10
MOST_STOLEN = 0.05
# Quiet rounds that a verdict needs, and how far the plain nginx may vary between them.
FEWEST_ROUNDS = 2
MOST_SPREAD = 0.5


class Verdict(StrEnum):
    """Whether a bar was met, or could not be judged."""

    MET = "met"
    MISSED = "missed"
    UNJUDGED = "not judged"


@dataclass(frozen=True)
class Bar:
    """One bar: `value` is None when nothing of it was measured."""

    name: str
    value: float | None
    limit: float
    unit: str
    at_least: bool

    def verdict(self, noise: str | None) -> Verdict:
        """Met or missed; not judged without a value, or in noise (which says why)."""
        if self.value is None or noise:
            return Verdict.UNJUDGED
        met = self.value >= self.limit if self.at_least else self.value <= self.limit
        return Verdict.MET if met else Verdict.MISSED


def is_quiet(foreign: float, stolen: float) -> bool:
    """Whether a measurement counts, by the shares of the machine that others and the host took."""
    return foreign <= MOST_FOREIGN and stolen <= MOST_STOLEN


def noise(quiet_rounds: Sequence[int], static_spread: float | None) -> str | None:
    """Why nothing can be judged, or None.

    Args:
        quiet_rounds: for each thing that is judged, how many of its rounds were quiet.
        static_spread: (max - min) / median of the plain nginx's requests per second.
    """
    if quiet_rounds and min(quiet_rounds) < FEWEST_ROUNDS:
        return (
            f"other processes or the host took more than {MOST_FOREIGN:.0%} of the CPU time in all "
            f"but {min(quiet_rounds)} rounds (at least {FEWEST_ROUNDS} are needed)"
        )
    if static_spread is not None and static_spread > MOST_SPREAD:
        return (
            f"the plain nginx itself varied by {static_spread:.0%} between rounds "
            f"(at most {MOST_SPREAD:.0%})"
        )
    return None


def middle(values: Sequence[float]) -> float | None:
    """The median, or None of nothing."""
    return median(values) if values else None


def exit_code(verdicts: Sequence[Verdict], failures: int) -> int:
    """0 when every bar was met and every answer was right, else 1; an unjudged bar is not met."""
    return int(failures > 0 or any(verdict is not Verdict.MET for verdict in verdicts))
