"""What a flash sale came to: who got it, how soon everybody was told, and whether it was fair."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import fmean
from typing import Any

from loadtests.bench.figures import percentile
from loadtests.flash_sale.crowd import Shopper

SLOWEST_OF_MEDIAN = 10.0


@dataclass(frozen=True)
class Outcome:
    """One sale. Latencies in milliseconds, moments in seconds since the doors opened.

    Attributes:
        answers: status to how often it was said; 0 is no answer.
        p50_ms, p99_ms, most_ms: of the answers that decide: 201 and 409.
        again_p50_ms, again_p99_ms: of those that say when to come again: 429. 0 without one.
        first_told: when 99 of 100 had been told something.
        sold_out: when the last unit was sold.
        all_told: when the last shopper had a last word.
        fairness: rank correlation of who came first and who was served first, over all shoppers;
            1 is a queue, 0 a lottery. Those who got nothing were served last, all alike.
        fairness_of_buyers: the same among those who got one.
        stock: what is left by the shop's own account.
    """

    shoppers: int
    units: int
    confirmed: int
    sold_out_told: int
    others: int
    answers: dict[int, int]
    p50_ms: float
    p99_ms: float
    most_ms: float
    again_p50_ms: float
    again_p99_ms: float
    first_told: float
    sold_out: float
    all_told: float
    fairness: float
    fairness_of_buyers: float
    stock: int

    @property
    def per_second(self) -> float:
        """Units sold a second, while there were any."""
        return self.confirmed / self.sold_out if self.sold_out else 0.0

    @property
    def checks(self) -> dict[str, bool]:
        """What has to be so."""
        failed = sum(n for status, n in self.answers.items() if status == 0 or status >= 500)
        wanted = min(self.units, self.shoppers)
        return {
            f"{self.confirmed} of {wanted} units sold": self.confirmed == wanted,
            f"{self.stock} units left": self.stock == self.units - wanted,
            f"{self.others} shoppers told anything but 201 or 409": self.others == 0,
            f"{failed} answers were failures": failed == 0,
            f"p99 of 201 and 409 is {self.p99_ms:.0f} ms, their median {self.p50_ms:.0f} ms": (
                self.p99_ms <= SLOWEST_OF_MEDIAN * self.p50_ms
            ),
            f"p99 of 429 is {self.again_p99_ms:.0f} ms": self.again_p99_ms <= self.p99_ms,
        }

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"per_second": self.per_second, "checks": self.checks}


def summed_up(
    order: Sequence[Shopper], units: int, opened: float, seconds: float, stock: int
) -> Outcome:
    """The outcome for shoppers in the order in which they came."""
    answers = [(status, 1000 * took) for each in order for status, took in each.answers]
    took = sorted(ms for status, ms in answers if status in (201, 409)) or [0.0]
    again = sorted(ms for status, ms in answers if status == 429) or [0.0]
    firsts = sorted(each.first_sent + each.answers[0][1] - opened for each in order)
    buyers = [each for each in order if each.outcome == 201]
    last = len(order)
    served = {each.number: n for n, each in enumerate(sorted(buyers, key=lambda each: each.told))}
    outcomes = Counter(each.outcome for each in order)
    return Outcome(
        shoppers=len(order),
        units=units,
        confirmed=outcomes[201],
        sold_out_told=outcomes[409],
        others=len(order) - outcomes[201] - outcomes[409],
        answers=dict(sorted(Counter(status for status, _ in answers).items())),
        p50_ms=percentile(took, 0.5),
        p99_ms=percentile(took, 0.99),
        most_ms=took[-1],
        again_p50_ms=percentile(again, 0.5),
        again_p99_ms=percentile(again, 0.99),
        first_told=percentile(firsts, 0.99),
        sold_out=max((each.told - opened for each in buyers), default=0.0),
        all_told=seconds,
        fairness=rank_correlation([float(served.get(each.number, last)) for each in order]),
        fairness_of_buyers=rank_correlation([float(served[each.number]) for each in buyers]),
        stock=stock,
    )


def rank_correlation(values: Sequence[float]) -> float:
    """Spearman's, of values with their places in the sequence; equal values share their ranks.

    0 when there is nothing to compare.
    """
    ranks = _ranks(values)
    places = range(len(values))
    if len(set(ranks)) < 2:
        return 0.0
    middle, middle_rank = fmean(places), fmean(ranks)
    both = sum((p - middle) * (r - middle_rank) for p, r in zip(places, ranks, strict=True))
    spread = sum((p - middle) ** 2 for p in places) * sum((r - middle_rank) ** 2 for r in ranks)
    return float(both / spread**0.5)


def _ranks(values: Sequence[float]) -> list[float]:
    order = sorted(range(len(values)), key=lambda at: values[at])
    ranks = [0.0] * len(values)
    at = 0
    while at < len(order):
        end = at
        while end + 1 < len(order) and values[order[end + 1]] == values[order[at]]:
            end += 1
        for place in order[at : end + 1]:
            ranks[place] = (at + end) / 2
        at = end + 1
    return ranks
