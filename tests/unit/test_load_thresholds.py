"""Thresholds of the load test: what they ask, and that each request has one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.thresholds import (
    FILE,
    Limits,
    Seen,
    Thresholds,
    ThresholdsError,
    broken,
    group_of,
    read,
)

WANTED = Thresholds({"browse": Limits(0.01, 100, 200)}, 0.1)
GOOD = Seen("browse: list", 100, 1, 100, 200)


def test_what_is_just_kept_is_kept() -> None:
    limited = Seen("limited: 429", 11, 0, 9999, 9999)
    assert broken(WANTED, [GOOD, limited]) == []


@pytest.mark.parametrize(
    ("seen", "line"),
    [
        (Seen("browse: list", 100, 2, 1, 1), "browse: list: error rate 2.00% > 1.00%"),
        (Seen("browse: list", 100, 0, 101, 101), "browse: list: p95 101 ms > 100 ms"),
        (Seen("browse: list", 100, 0, 1, 201), "browse: list: p99 201 ms > 200 ms"),
        (Seen("limited: 429", 12, 0, 1, 1), "limited: 429: 10.7% of all > 10.0%"),
        (Seen("other: x", 1, 0, 1, 1), "other: x: no thresholds for [other]"),
    ],
)
def test_each_threshold_is_told_when_it_is_not_kept(seen: Seen, line: str) -> None:
    assert broken(WANTED, [GOOD, seen]) == [line]


def test_a_run_in_which_nothing_was_asked_is_no_success() -> None:
    assert broken(WANTED, []) == ["no request was answered"]
    assert broken(WANTED, [Seen("browse: list", 0, 0, 0, 0)]) == ["no request was answered"]


@given(st.integers(1, 1000), st.integers(0, 1000), st.floats(0, 1e4), st.floats(0, 1e4))
def test_every_excess_is_one_line(
    requests: int, failures: int, p95_ms: float, p99_ms: float
) -> None:
    lines = broken(WANTED, [Seen("browse: x", requests, failures, p95_ms, p99_ms)])
    assert len(lines) == (failures / requests > 0.01) + (p95_ms > 100) + (p99_ms > 200)


def test_every_request_of_the_load_test_has_thresholds() -> None:
    names = {
        name
        for file in ("locustfile.py", "rushes.py", "shopping.py")
        for name in re.findall(
            r'(?:asking\(\s*|place\(cart, |name=f)"([^"]+)"',
            FILE.with_name(file).read_text("utf-8"),
        )
    }
    assert len(names) > 10
    assert {group_of(name) for name in names} == set(read().groups)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[browse", "thresholds.toml: "),
        ("[browse]\np95_ms = 1\n", r"\[browse\] needs exactly error_rate, p95_ms, p99_ms"),
        ("[limited]\nshare = -1\n", r"share of \[limited\] is no number of 0 or more"),
        ("[limited]\nshare = true\n", r"share of \[limited\] is no number"),
        ("limited = 1\n", r"\[limited\] needs exactly share"),
        ("[browse]\nerror_rate = 0\np95_ms = 1\np99_ms = 2\n", r"there is no \[limited\]"),
    ],
)
def test_a_file_that_is_wrong_is_named_with_the_reason(
    tmp_path: Path, text: str, reason: str
) -> None:
    path = tmp_path / "thresholds.toml"
    path.write_text(text, "utf-8")
    with pytest.raises(ThresholdsError, match=reason):
        read(path)


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ThresholdsError, match="cannot be read: No such file"):
        read(tmp_path / "gone.toml")
