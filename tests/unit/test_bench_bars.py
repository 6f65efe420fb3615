"""What the benchmark asks, and when it says that it cannot judge."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.bench import bars, report
from loadtests.bench.bars import Bar, Verdict, exit_code, is_quiet, noise
from loadtests.bench.measure import Measurement
from loadtests.bench.results import Idle, Results
from loadtests.bench.scenarios import NAMES, Prepared, Scenario, chosen, scenarios

ALL = scenarios(Prepared([1], ["c"], ["t"], [1]))
ROUND = Measurement(
    scenario="static",
    round=1,
    count=1000,
    wrong=0,
    first_wrong=[],
    seconds=1.0,
    p50=1.0,
    p99=2.0,
    cpu_ms={"static": 0.01},
    foreign=0.0,
    stolen=0.0,
    client=0.5,
)


def good() -> Results:
    """Three quiet rounds that meet every bar, just so."""
    results = Results({each.name: each.title for each in ALL})
    results.idle = Idle({"cart": 900_000_000}, {"cart": 3.0})
    results.context = dict.fromkeys(
        ("cores", "processor", "kernel", "python", "commit", "synchronous_commit", "began"), "x"
    ) | {"rounds": 3, "seconds": 1.0, "clients": 8}
    for number in (1, 2, 3):
        static = replace(ROUND, round=number)
        cached = replace(static, count=800, cpu_ms={"gateway": 0.01 / 0.7})
        results.measurements += [
            static,
            replace(cached, scenario="list-cached"),
            replace(cached, scenario="page-cached", count=900),
            *(replace(static, scenario=name, count=100) for name in ("flask", "flask-query")),
            replace(static, scenario="page", count=60),
            replace(static, scenario="cart-add", count=50),
            replace(static, scenario="purchase", cpu_ms={"orders": 4.0, "postgres-1": 2.0}),
            replace(static, scenario="purchase-half", p50=1.0, p99=5.0),
        ]
    return results


def verdicts(results: Results) -> list[Verdict]:
    return [verdict for _, verdict in results.bars]


@given(st.floats(0, 100), st.booleans())
def test_a_bar_is_met_on_its_own_limit_and_on_the_right_side_of_it(
    value: float, at_least: bool
) -> None:
    bar = Bar("x", value, 8.0, "ms", at_least)
    met = value == 8 or (value > 8) == at_least
    assert bar.verdict(None) is (Verdict.MET if met else Verdict.MISSED)
    assert bar.verdict("noise") is Verdict.UNJUDGED
    assert replace(bar, value=None).verdict(None) is Verdict.UNJUDGED


@pytest.mark.parametrize(
    ("found", "failures", "code"),
    [
        ([Verdict.MET, Verdict.MET], 0, 0),
        ([Verdict.MET, Verdict.MISSED], 0, 1),
        ([Verdict.MET, Verdict.UNJUDGED], 0, 1),
        ([Verdict.MET], 1, 1),
    ],
)
def test_only_a_run_that_met_every_bar_without_a_wrong_answer_ends_with_0(
    found: list[Verdict], failures: int, code: int
) -> None:
    assert exit_code(found, failures) == code


def test_a_run_that_meets_the_bars_is_judged_so() -> None:
    results = good()
    assert [bar.value for bar, _ in results.bars] == [
        pytest.approx(0.8),
        pytest.approx(0.7),
        pytest.approx(0.6),
        pytest.approx(0.5),
        6.0,
        pytest.approx(5.0),
        900.0,
    ]
    assert verdicts(results) == [Verdict.MET] * 7
    assert results.exit_code == 0


def test_the_worse_of_both_cached_reads_is_judged_by_speed_and_by_cost() -> None:
    results = good()
    results.measurements = [
        replace(m, count=600, cpu_ms={"gateway": 0.02}) if m.scenario == "page-cached" else m
        for m in results.measurements
    ]
    assert [bar.value for bar, _ in results.bars][:2] == [pytest.approx(0.6), pytest.approx(0.5)]
    assert verdicts(results) == [Verdict.MISSED] * 2 + [Verdict.MET] * 5
    assert results.exit_code == 1


def test_rounds_that_others_disturbed_are_left_out() -> None:
    results = good()
    spoilt = replace(ROUND, round=4, scenario="purchase", cpu_ms={"orders": 99.0}, foreign=0.11)
    results.measurements.append(spoilt)
    assert results.row("purchase").total_ms.high == 6.0
    assert (results.row("purchase").quiet, results.row("purchase").rounds) == (3, 4)
    assert results.exit_code == 0


def test_a_noisy_machine_is_not_judged_but_its_memory_is() -> None:
    results = good()
    results.measurements = [replace(m, foreign=0.5) for m in results.measurements]
    assert verdicts(results) == [Verdict.UNJUDGED] * 6 + [Verdict.MET]
    assert results.exit_code == 1
    assert "Too noisy to judge" in report.bar_lines(results)[-1]
    # The figures are shown all the same.
    assert results.row("purchase").total_ms.middle == 6.0


def test_what_was_not_measured_is_not_judged() -> None:
    results = good()
    results.measurements = [m for m in results.measurements if m.scenario != "purchase"]
    met = [Verdict.MET] * 4
    # Nor is half of it: as much as that is not known.
    assert verdicts(results) == [*met, Verdict.UNJUDGED, Verdict.UNJUDGED, Verdict.MET]


def test_the_last_of_a_hundred_may_wait_five_times_as_long_as_the_middle_one() -> None:
    results = good()
    half = [m for m in results.measurements if m.scenario == "purchase-half"]
    rest = [m for m in results.measurements if m.scenario != "purchase-half"]
    results.measurements = [*rest, *(replace(m, p99=5.1) for m in half)]
    assert verdicts(results) == [*[Verdict.MET] * 5, Verdict.MISSED, Verdict.MET]


def test_wrong_answers_are_told_and_end_with_1() -> None:
    results = good()
    results.measurements[0] = replace(ROUND, wrong=2, first_wrong=["503 instead of 200: away"])
    assert results.exit_code == 1
    assert report.bar_lines(results)[-1] == "2 wrong answers, the first: 503 instead of 200: away"


@pytest.mark.parametrize(
    ("foreign", "stolen", "quiet"),
    [(0.1, 0.05, True), (0.11, 0.0, False), (0.0, 0.06, False)],
)
def test_a_round_is_quiet_up_to_its_limits(foreign: float, stolen: float, quiet: bool) -> None:
    assert is_quiet(foreign, stolen) is quiet


def test_noise_says_why() -> None:
    assert noise([3, 2], 0.5) is None
    assert noise([], None) is None
    assert "all but 1 rounds" in str(noise([3, 1], 0.1))
    assert "varied by 51%" in str(noise([3], 0.51))


def test_the_page_has_every_row_and_every_bar() -> None:
    page = report.markdown(good())
    for text in ("nginx, static 5 KB file", "product list, cached", "| purchase |"):
        assert text in page
    assert page.count("\n- met ") == 7
    # As many cells in each line of a table.
    for table in page.split("\n\n")[4:6]:
        assert len({line.count("|") for line in table.splitlines()}) == 1


def test_scenarios_are_chosen_by_name_and_unknown_ones_are_named() -> None:
    assert [each.name for each in chosen(ALL, [])] == list(NAMES)
    assert [each.name for each in chosen(ALL, ["purchase", "static"])] == ["static", "purchase"]
    half = chosen(ALL, ["purchase-half"])
    assert [each.name for each in half] == ["purchase", "purchase-half"]
    with pytest.raises(ValueError, match="there is no sttic; there are: static, flask"):
        chosen(ALL, ["sttic"])


def test_what_feira_is_compared_with_pays_for_nothing_but_itself() -> None:
    by_name: dict[str, Scenario] = {each.name: each for each in ALL}
    assert not by_name["static"].counts("orders-background")
    assert by_name["static"].counts("static")
    assert by_name["flask-query"].counts("postgres-2")
    assert by_name["list-cached"].counts("supervisor")
    assert not by_name["list-cached"].counts("flask")
    assert by_name["purchase"].counts("cart-background")
    assert bars.PURCHASE_CPU_MS == 6.0
