"""The figures of a flash sale: fairness, latencies, and what has to be so."""

from __future__ import annotations

import pytest

from loadtests.flash_sale.crowd import Shopper
from loadtests.flash_sale.outcome import Outcome, rank_correlation, summed_up


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([1, 2, 3, 4], 1.0),
        ([4, 3, 2, 1], -1.0),
        ([2, 2, 2], 0.0),
        ([], 0.0),
        ([7], 0.0),
        # By hand: ranks 0, 1.5, 1.5, 3 beside places 0 to 3: 4.5 / sqrt(5 * 4.5).
        ([1, 5, 5, 9], 0.9486832980505138),
        ([1, 3, 2, 4], 0.8),
    ],
)
def test_fairness_is_a_rank_correlation(values: list[float], expected: float) -> None:
    assert rank_correlation(values) == pytest.approx(expected)


def shopper(number: int, *answers: tuple[int, float], told: float) -> Shopper:
    """Who asked first at 100 s, and had these answers."""
    outcome = answers[-1][0]
    return Shopper(number, answers=[*answers], first_sent=100.0, told=told, outcome=outcome)


def sale(*people: Shopper, units: int = 2, stock: int = 0) -> Outcome:
    return summed_up(people, units, 100.0, 9.0, stock)


FIRST = shopper(7, (201, 0.2), told=100.2)
SECOND = shopper(3, (429, 0.01), (201, 0.3), told=102.0)
LATE = shopper(5, (429, 0.02), (409, 0.1), told=103.0)


def test_everybody_is_counted_once_and_every_answer() -> None:
    outcome = sale(FIRST, SECOND, LATE)
    assert (outcome.confirmed, outcome.sold_out_told, outcome.others) == (2, 1, 0)
    assert outcome.answers == {201: 2, 409: 1, 429: 2}
    assert (outcome.p50_ms, outcome.p99_ms, outcome.most_ms) == (200, 300, 300)
    assert (outcome.again_p50_ms, outcome.again_p99_ms) == (10, 20)
    assert (outcome.sold_out, outcome.per_second) == (2.0, 1.0)
    assert outcome.fairness == outcome.fairness_of_buyers == pytest.approx(1.0)
    assert all(outcome.checks.values())


def broken(outcome: Outcome) -> list[str]:
    return [text for text, holds in outcome.checks.items() if not holds]


def test_one_unit_too_few_or_too_many_is_said() -> None:
    assert broken(sale(FIRST, LATE, units=2, stock=0)) == ["1 of 2 units sold"]
    assert broken(sale(FIRST, SECOND, LATE, units=1)) == ["2 of 1 units sold"]
    assert broken(sale(FIRST, SECOND, LATE, stock=-1)) == ["-1 units left"]


def test_failures_and_slow_answers_are_said() -> None:
    failed = shopper(5, (503, 0.1), (0, 1.0), (409, 0.1), told=103.0)
    assert broken(sale(FIRST, SECOND, failed)) == ["2 answers were failures"]
    slow = shopper(5, (409, 2.1), told=103.0)
    few = [shopper(n, (201, 0.1), told=101.0) for n in range(2)]
    assert broken(sale(*few, slow)) == ["p99 of 201 and 409 is 2100 ms, their median 100 ms"]
    declined = shopper(5, (402, 0.1), told=103.0)
    assert broken(sale(FIRST, SECOND, declined)) == ["1 shoppers told anything but 201 or 409"]
