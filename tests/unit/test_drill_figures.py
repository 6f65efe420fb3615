"""The figures of a drill are what docs/drills.md says they are."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.drills import figures
from loadtests.drills.figures import FaultTime
from loadtests.drills.journal import UNIX_OFFSET, Call, Purchase

seconds = st.floats(0, 100, allow_nan=False)


def purchase(began: float, acknowledged: float | None, order: str | None = None) -> Purchase:
    made = Purchase("ana@example.com", "key", {}, {1: 1}, began)
    if acknowledged is not None:
        made.acknowledged, made.order_id = acknowledged, order or "order"
    return made


def logged(at: float, **fields: object) -> dict[str, object]:
    moment = datetime.fromtimestamp(at + UNIX_OFFSET, UTC).isoformat()
    reserve = {"event": "request", "method": "POST", "route": "/api/reservations", "status": 201}
    return {"timestamp": moment, "instance": "catalog-1"} | reserve | fields


def test_failover_ends_with_the_first_purchase_that_began_after_the_fault() -> None:
    before, first, later = purchase(9.9, 11), purchase(12, 25), purchase(13, 24)
    never = purchase(12, None)
    fault = FaultTime(10, 10.5)
    assert figures.failover_seconds([before, never, first, later], fault) == 14
    assert figures.failover_seconds([before, never], fault) is None


def test_a_purchase_from_while_the_fault_was_being_made_does_not_end_the_failover() -> None:
    assert figures.failover_seconds([purchase(10.2, 10.4)], FaultTime(10, 10.5)) is None


@pytest.mark.parametrize(
    ("acknowledged", "down"),
    [
        ([1, 9, 30, 31], 21),  # from the last one before the fault
        ([11, 12, 30, 39], 18),  # the longest, not the first
        ([9, 12], 28),  # until the end, when none comes any more
        ([], 30),  # from the fault, when there was none before
        ([9, 12, 39, 60], 27),  # what came after the end is not looked at
    ],
)
def test_down_is_the_longest_span_without_an_acknowledged_purchase(
    acknowledged: list[float], down: float
) -> None:
    assert figures.down_seconds(acknowledged, began=10, ended=40) == down


@given(st.lists(seconds), seconds, seconds)
def test_down_agrees_with_looking_at_every_pair(times: list[float], one: float, two: float) -> None:
    began, ended = min(one, two), max(one, two) + 0.1
    edges = sorted({*(t for t in times if t < ended), began, ended})
    spans = [
        (low, high)
        for low in edges
        for high in edges
        if high > began
        and low < high
        and not any(low < t < high for t in times if t < ended)
        # The fault itself ends no span, and begins one only when nothing came before it.
        and (low in times or not any(t <= began for t in times))
        and (high in times or high == ended)
    ]
    longest = max(high - low for low, high in spans)
    assert figures.down_seconds(times, began, ended) == pytest.approx(longest)


@given(st.lists(seconds), seconds)
def test_one_more_purchase_never_makes_down_longer(times: list[float], more: float) -> None:
    assert figures.down_seconds([*times, more], 10, 90) <= figures.down_seconds(times, 10, 90) + 10
    within = min(max(more, 10.0), 90.0)
    assert figures.down_seconds([*times, within], 10, 90) <= figures.down_seconds(times, 10, 90)


numbers = st.sets(st.integers(0, 40))


@given(numbers, numbers, st.integers(0, 5))
def test_lost_and_duplicated_orders_are_counted_exactly(
    told: set[int], there: set[int], unknown: int
) -> None:
    purchases = [purchase(1, 2, str(number)) for number in told]
    purchases += [purchase(1, None) for _ in range(unknown)]
    orders = {str(number): "confirmed" for number in there}
    books = figures.compare(purchases, [], orders)
    assert books.acknowledged == len(told)
    assert books.lost == len(told - there)
    assert books.duplicates == max(0, len(there - told) - unknown)
    assert books.unknown == unknown


@pytest.mark.parametrize("status", ["failed", "cancelled", "pending", "reserved"])
def test_an_acknowledged_order_that_is_not_sold_is_lost(status: str) -> None:
    books = figures.compare([purchase(1, 2, "A")], [], {"A": status})
    assert (books.lost, books.duplicates) == (1, 0)


def test_one_order_for_two_purchases_and_two_orders_for_one_key_are_duplicates() -> None:
    same = [purchase(1, 2, "A"), purchase(3, 4, "A")]
    assert figures.compare(same, [], {"A": "confirmed"}).duplicates == 1
    one = purchase(1, 2, "A")
    books = figures.compare([one], [(one, "A"), (one, "B")], {"A": "shipped"})
    assert books.duplicates == 1


def test_a_refused_purchase_is_known() -> None:
    refused = purchase(1, None)
    refused.refused = 409
    assert figures.compare([refused], [], {}).unknown == 0


@pytest.mark.parametrize(
    ("available", "sold", "oversold"),
    [
        (7, 3, 0),
        (0, 10, 0),
        (6, 3, 0),  # one is still held
        (8, 3, 1),  # the stock does not know of one that was sold
        (0, 12, 2),
        (-2, 0, 2),
    ],
)
def test_oversold_units(available: int, sold: int, oversold: int) -> None:
    assert figures.oversold_units({1: 10}, {1: available}, {1: sold}) == oversold


def test_a_product_that_nobody_bought_is_not_oversold() -> None:
    assert figures.oversold_units({1: 10, 2: 5}, {1: 9, 2: 5}, {1: 1}) == 0


@pytest.mark.parametrize(
    ("status", "verdict"),
    [(200, "ok"), (304, "ok"), (409, "fail"), (429, "fail"), (500, "unknown"), (0, "unknown")],
)
def test_the_verdict_on_a_call(status: int, verdict: str) -> None:
    assert Call("order", 1, 2, status).verdict == verdict


def test_lost_calls_are_those_without_a_usable_answer_since_the_fault() -> None:
    calls = [
        Call("order", 1, 2, 503, True),
        Call("order", 9, 11, 503, True),
        Call("order", 11, 12, 409),
        Call("read", 11, 12, 0),
        Call("cart", 11, 12, 503, True),
    ]
    assert figures.lost_calls(calls, ("order", "cart", "read"), 10) == 3
    assert figures.lost_calls(calls, ("read",), 10) == 1
    assert figures.unusable(calls, 10) == {"order 503": 1, "read no answer": 1, "cart 503": 1}


@pytest.mark.parametrize(
    ("call", "improper"),
    [
        (Call("order", 11, 12, 503, True), 0),
        (Call("order", 11, 12, 503), 1),
        (Call("order", 11, 12, 502, True), 1),
        (Call("order", 11, 12, 0), 1),
        (Call("order", 1, 2, 0), 0),
        (Call("order", 11, 12, 409), 0),
        (Call("cart", 11, 12, 502), 0),
    ],
)
def test_a_checkout_is_refused_with_a_503_that_says_when(call: Call, improper: int) -> None:
    assert figures.improper_calls([call], 10) == improper


def test_the_first_write_of_each_instance_after_the_promotion() -> None:
    lines = [
        logged(99),
        logged(103),
        logged(102),
        logged(101, status=503),
        logged(101, route="/api/products"),
        logged(101, instance="catalog-3"),
        logged(109, instance="catalog-2", status=503),
        logged(111, instance="catalog-2", status=503),
        logged(99, instance="catalog-4"),
        logged(104, instance="catalog-4", status=503),
        logged(112, instance="catalog-4"),
        logged(111, instance="catalog-5", status=503),
        logged(112, instance="catalog-5"),
        logged(104, instance="catalog-6"),
        logged(112, instance="catalog-6", status=503),
    ]
    found = figures.first_writes(lines, {f"catalog-{n}" for n in (1, 2, 4, 5, 6)}, 100)
    # Nobody asked catalog-4 again in the 10 s that it has: whether it could have is not known.
    assert found == {
        "catalog-1": pytest.approx(2, abs=1e-3),
        "catalog-2": None,
        "catalog-5": None,
        "catalog-6": pytest.approx(4, abs=1e-3),
    }


def test_writes_on_a_read_only_node_count_once_services_had_their_time() -> None:
    text = "cannot execute UPDATE in a read-only transaction"
    lines = [
        logged(105, error=text),
        logged(111, error=text, event="saga"),
        logged(112, error=f"(psycopg2.errors.ReadOnlySqlTransaction) {text}", event="request"),
        logged(113, order="01M810YH1025006XBA7JF0BWVK"),
    ]
    found = figures.read_only_errors(lines, 100)
    assert [each.split(" ", 1)[1] for each in found] == [
        "saga after 11.0 s",
        "request after 12.0 s",
    ]


@pytest.mark.parametrize(
    ("upstream", "noticed"),
    [
        ("10.0.0.2:5001, 10.0.0.3:5001", True),
        ("10.0.0.2:5001 : 10.0.0.3:5001", True),
        ("10.0.0.3:5001", False),
        ("10.0.0.2:5001", False),  # it answered
        ("10.0.0.3:5001, 10.0.0.2:5001", False),
    ],
)
def test_the_gateway_notices_when_it_passes_a_request_on(upstream: str, noticed: bool) -> None:
    line = {"unix": 20 + UNIX_OFFSET, "upstream": upstream}
    earlier = {"unix": 5 + UNIX_OFFSET, "upstream": "10.0.0.2:5001, 10.0.0.3:5001"}
    found = figures.passed_on([earlier, line], "10.0.0.2:5001", 10)
    assert found == (pytest.approx(20) if noticed else None)


def test_the_spread_leaves_out_what_is_not_known() -> None:
    assert figures.spread([3.0, None, 1.0, 2.0, 10.0]) == (1, 2.5, 10)
    assert figures.spread([None]) is None
