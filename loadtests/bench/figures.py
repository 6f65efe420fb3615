"""The arithmetic of the benchmark: percentiles, spreads, and what one request cost."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median


def percentile(ordered: Sequence[float], share: float) -> float:
    """The nearest-rank percentile of values in ascending order: one of them, never between two.

    Args:
        ordered: at least one value.
        share: above 0, up to 1.

    Raises:
        ValueError: no value, or a share outside its range.
    """
    if not ordered or not 0 < share <= 1:
        raise ValueError(f"no percentile {share} of {len(ordered)} values")
    return ordered[math.ceil(share * len(ordered)) - 1]


@dataclass(frozen=True)
class Spread:
    """Smallest, middle and largest of the rounds."""

    low: float
    middle: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of at least one value; raises ValueError otherwise."""
        if not values:
            raise ValueError("no values")
        return cls(min(values), median(values), max(values))

    @property
    def relative(self) -> float:
        """(high - low) / middle; infinite when the middle is 0 and the others are not."""
        if self.high == self.low:
            return 0.0
        return (self.high - self.low) / self.middle if self.middle else math.inf


def milliseconds_each(
    before: Mapping[str, float], after: Mapping[str, float], count: int
) -> dict[str, float]:
    """CPU milliseconds per request by process, from CPU seconds before and after.

    A process that was not there before counts from zero. One that ended counts nothing: whoever
    waited for it has its time. A clock tick read late may not make a negative cost.

    Args:
        count: requests in between; none makes ValueError.
    """
    if count <= 0:
        raise ValueError("no requests")
    return {
        name: max(0.0, seconds - before.get(name, 0.0)) * 1000 / count
        for name, seconds in after.items()
    }


def summed(costs: Mapping[str, float], groups: Mapping[str, str]) -> dict[str, float]:
    """Costs by process as costs by group; nothing is lost: a process in no group is its own."""
    totals: dict[str, float] = {}
    for name, cost in costs.items():
        group = groups.get(name, name)
        totals[group] = totals.get(group, 0.0) + cost
    return totals
