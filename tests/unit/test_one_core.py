"""A busy process keeps to one core, and goes where there is more time for it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis import one_core
from chassis.one_core import choose
from local.services import MICROSERVICES
from orders import passwords
from tests.shop import wait_until

several_cores = pytest.mark.skipif(len(one_core.ALLOWED) < 2, reason="this machine has one core")

# Looks far more often than twice a second, so that the test need not wait.
BUSY_PROCESS = """
import sys, threading, time
from chassis import one_core

one_core.LOOK_SECONDS = 0.05
kept, busy = one_core.OneCore(), threading.Event()
busy.set()

def serve():
    while True:
        busy.wait()
        sum(range(1000))

def watch():
    while True:
        time.sleep(0.02)
        kept.consider()

for work in (serve, serve, watch):
    threading.Thread(target=work, daemon=True).start()
print("started", flush=True)
sys.stdin.readline()
busy.clear()
sys.stdin.readline()
"""


@pytest.fixture
def process() -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-c", BUSY_PROCESS],
        cwd=MICROSERVICES,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as started:
        assert started.stdout and started.stdout.readline() == "started\n"
        yield started
        started.kill()


def cores(process: subprocess.Popen[str]) -> list[set[int]]:
    """Where each thread of a process may run."""
    threads = Path(f"/proc/{process.pid}/task").iterdir()
    return [os.sched_getaffinity(int(thread.name)) for thread in threads]


@several_cores
def test_all_threads_share_a_core_while_they_compute_and_none_when_they_rest(
    process: subprocess.Popen[str],
) -> None:
    def kept_to_one() -> bool:
        found = cores(process)
        return len(found) == 4 and len(found[0]) == 1 and all(c == found[0] for c in found)

    wait_until(kept_to_one)
    assert process.stdin
    process.stdin.write("rest\n")
    process.stdin.flush()
    wait_until(lambda: all(found == one_core.ALLOWED for found in cores(process)))


@several_cores
def test_a_password_is_hashed_on_any_core_and_the_thread_comes_back() -> None:
    one = {min(one_core.ALLOWED)}
    os.sched_setaffinity(0, one)
    try:
        with passwords.turn():
            assert os.sched_getaffinity(0) == one_core.ALLOWED
        assert os.sched_getaffinity(0) == one
    finally:
        os.sched_setaffinity(0, one_core.ALLOWED)


def always(number: float = 0.0) -> float:
    return number


@pytest.mark.parametrize(
    ("core", "own", "use", "chosen"),
    [
        (None, 0.1, {0: 0.5, 1: 0.0}, None),
        (None, 0.3, {0: 0.9, 1: 0.4}, 1),
        (0, 0.2, {0: 0.3, 1: 0.0}, 0),
        (0, 0.05, {0: 0.9, 1: 0.0}, None),
        # Full of itself alone.
        (0, 0.95, {0: 1.0, 1: 0.0}, 0),
        (0, 0.5, {0: 1.0, 1: 0.6}, 1),
        (0, 0.5, {0: 1.0, 1: 0.95}, 0),
        (0, 0.5, {0: 0.8, 1: 0.1}, 0),
        # The core that it kept to is not there any more.
        (7, 0.5, {0: 0.9, 1: 0.3}, 1),
    ],
)
def test_the_core_of_a_process(
    core: int | None, own: float, use: dict[int, float], chosen: int | None
) -> None:
    assert choose(core, own, use, always) == chosen


def test_of_those_who_see_a_better_core_half_stay() -> None:
    assert choose(0, 0.5, {0: 1.0, 1: 0.2}, lambda: 0.9) == 0


SHARES = st.floats(0, 1)


@given(
    core=st.none() | st.integers(0, 3),
    own=SHARES,
    use=st.dictionaries(st.integers(0, 3), SHARES, min_size=1),
    chance=SHARES,
)
def test_it_never_goes_where_there_is_less_time(
    core: int | None, own: float, use: dict[int, float], chance: float
) -> None:
    chosen = choose(core, own, use, lambda: chance)
    if chosen is not None and chosen != core:
        assert chosen in use
        assert core not in use or use[chosen] < use[core]
