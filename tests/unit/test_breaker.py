"""The circuit breaker by itself."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from chassis.breaker import Breaker
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
