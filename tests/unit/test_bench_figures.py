"""The arithmetic of the benchmark."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.bench.figures import Spread, milliseconds_each, percentile, summed

values = st.lists(st.floats(0, 1e9), min_size=1, max_size=200)
seconds = st.dictionaries(st.sampled_from("abcdef"), st.floats(0, 1e6))


@given(values, st.floats(0, 1, exclude_min=True))
def test_a_percentile_is_a_value_that_its_share_does_not_exceed(
    found: list[float], share: float
) -> None:
    ordered = sorted(found)
    value = percentile(ordered, share)
    assert value in ordered
    assert sum(each <= value for each in ordered) >= share * len(ordered) - 1e-9
    # And it is the smallest such value.
    assert sum(each < value for each in ordered) < share * len(ordered)


@pytest.mark.parametrize(("share", "value"), [(0.5, 50), (0.99, 99), (1, 100), (0.001, 1)])
def test_percentiles_of_a_hundred(share: float, value: int) -> None:
    assert percentile(range(1, 101), share) == value


@pytest.mark.parametrize(("ordered", "share"), [([], 0.5), ([1], 0), ([1], 1.1)])
def test_there_is_no_percentile_of_nothing_or_beyond_all(ordered: list[int], share: float) -> None:
    with pytest.raises(ValueError, match="no percentile"):
        percentile(ordered, share)


@given(values)
def test_a_spread_has_its_middle_in_the_middle(found: list[float]) -> None:
    spread = Spread.of(found)
    assert spread.low == min(found)
    assert spread.high == max(found)
    assert spread.low <= spread.middle <= spread.high
    assert (spread.relative == 0) == (spread.low == spread.high)


def test_the_spread_of_rounds() -> None:
    assert Spread.of([3, 1, 2]) == Spread(1, 2, 3)
    assert Spread(1, 2, 3).relative == 1
    with pytest.raises(ValueError, match="no values"):
        Spread.of([])


@given(seconds, seconds, st.integers(1, 10_000))
def test_costs_times_requests_are_the_cpu_time_that_was_spent(
    before: dict[str, float], spent: dict[str, float], count: int
) -> None:
    after = {name: before.get(name, 0.0) + extra for name, extra in spent.items()}
    costs = milliseconds_each(before, after, count)
    assert costs.keys() == spent.keys()
    for name, extra in spent.items():
        assert costs[name] * count == pytest.approx(extra * 1000, rel=1e-6, abs=1)


def test_a_process_that_came_counts_from_zero_and_none_has_a_negative_cost() -> None:
    before = {"kept": 1.0, "restarted": 9.0, "ended": 5.0}
    after = {"kept": 1.5, "restarted": 0.2, "new": 0.1}
    assert milliseconds_each(before, after, 100) == {
        "kept": pytest.approx(5),
        "restarted": 0,
        "new": pytest.approx(1),
    }
    with pytest.raises(ValueError, match="no requests"):
        milliseconds_each(before, after, 0)


@given(seconds)
def test_nothing_is_lost_between_processes_and_groups(costs: dict[str, float]) -> None:
    totals = summed(costs, {"a": "x", "b": "x", "c": "y"})
    assert sum(totals.values()) == pytest.approx(sum(costs.values()))
    assert set(totals) <= {"x", "y", "d", "e", "f"}
