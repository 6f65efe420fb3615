"""The circuit breaker by itself."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, tzinfo

import pytest

from chassis.breaker import Breaker, LeftAlone
from chassis.http_client import NoAnswer, NoTime, NotNow
from chassis.problems import Unavailable


def fail() -> str:
    raise Unavailable("away")


def opened(reset_seconds: float) -> Breaker:
    breaker = Breaker("test", failures=3, reset_seconds=reset_seconds)
    for _ in range(3):
        with pytest.raises(Unavailable, match="away"):
            breaker.call(fail)
    assert breaker.state == "open"
    return breaker


def wait_for_reset(seconds: float) -> None:
    threading.Event().wait(seconds)


def test_failures_must_come_in_a_row() -> None:
    breaker = Breaker("test", failures=3, reset_seconds=10)

    for _ in range(5):
        for _ in range(2):
            with pytest.raises(Unavailable):
                breaker.call(fail)
        assert breaker.call(lambda: "fine") == "fine"

    assert breaker.state == "closed"


def test_an_open_breaker_calls_nobody() -> None:
    breaker = opened(reset_seconds=10)
    calls = []

    with pytest.raises(Unavailable, match="left alone"):
        breaker.call(lambda: calls.append(1))

    assert calls == []


def test_one_trial_decides_and_the_others_do_not_wait_for_it() -> None:
    breaker = opened(reset_seconds=0.05)
    wait_for_reset(0.06)
    trying, finish = threading.Event(), threading.Event()

    def trial() -> str:
        trying.set()
        assert finish.wait(5)
        return "fine"

    with ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(breaker.call, trial)
        assert trying.wait(5)
        with pytest.raises(Unavailable, match="left alone"):
            breaker.call(lambda: "too early")
        finish.set()
        assert outcome.result() == "fine"

    assert breaker.state == "closed"
    assert breaker.call(lambda: "fine") == "fine"


def test_a_failed_trial_opens_it_again() -> None:
    breaker = opened(reset_seconds=0.05)
    wait_for_reset(0.06)

    with pytest.raises(Unavailable):
        breaker.call(fail)

    assert breaker.state == "open"
    with pytest.raises(Unavailable, match="left alone"):
        breaker.call(lambda: "too early")


def test_a_clock_that_is_set_back_does_not_keep_it_open(monkeypatch: pytest.MonkeyPatch) -> None:
    breaker = opened(reset_seconds=0.05)

    class AnHourAgo(datetime):
        @classmethod
        def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
            return datetime.now(tz) - timedelta(hours=1)

    for module in ("pybreaker", "chassis.breaker"):
        monkeypatch.setattr(f"{module}.datetime", AnHourAgo)
    wait_for_reset(0.06)

    assert breaker.call(lambda: "fine") == "fine"
    assert breaker.state == "closed"


def test_a_service_that_says_it_cannot_now_is_not_left_alone() -> None:
    breaker = Breaker("test", failures=2, reset_seconds=10, no_failure=(NotNow,))

    def not_now() -> str:
        raise NotNow("waits for its database")

    for _ in range(5):
        with pytest.raises(NotNow):
            breaker.call(not_now)

    assert breaker.state == "closed"


def no_time() -> str:
    raise NoTime("nothing was sent")


def test_a_call_that_was_not_made_for_lack_of_time_is_no_failure_and_no_success() -> None:
    breaker = Breaker("test", failures=3, reset_seconds=10)

    for call in (fail, fail, no_time, no_time, no_time):
        with pytest.raises(Unavailable):
            breaker.call(call)
    assert breaker.state == "closed"

    with pytest.raises(Unavailable):
        breaker.call(fail)
    assert breaker.state == "open"


def test_a_trial_without_time_leaves_the_decision_to_the_next() -> None:
    breaker = opened(reset_seconds=0.05)
    wait_for_reset(0.06)

    for _ in range(2):
        with pytest.raises(NoTime):
            breaker.call(no_time)
        assert breaker.state == "open"

    assert breaker.call(lambda: "fine") == "fine"
    assert breaker.state == "closed"


def test_being_left_alone_says_for_how_long_and_the_trial_says_what_became_of_it() -> None:
    breaker = opened(reset_seconds=2.5)
    with pytest.raises(LeftAlone) as refused:
        breaker.check()
    assert refused.value.headers == {"Retry-After": "3"}

    soon = opened(reset_seconds=0.05)
    wait_for_reset(0.06)
    soon.check()

    def silent() -> str:
        raise NoAnswer("sent, and no answer")

    with pytest.raises(NoAnswer):
        soon.call(silent)
    assert soon.state == "open"


def test_calls_run_beside_each_other() -> None:
    breaker = Breaker("test", failures=3, reset_seconds=10)
    together = threading.Barrier(4)

    def meet() -> int:
        return together.wait(5)

    began = time.monotonic()
    with ThreadPoolExecutor(4) as pool:
        met = list(pool.map(lambda _: breaker.call(meet), range(4)))

    assert sorted(met) == [0, 1, 2, 3]
    assert time.monotonic() - began < 2
