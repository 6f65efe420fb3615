"""A busy process keeps to one core, and goes where there is more time for it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chassis import one_core
from chassis.one_core import OneCore, Ticks, choose, parse, shares
from orders import passwords

ALLOWED = os.sched_getaffinity(0)
several_cores = pytest.mark.skipif(len(ALLOWED) < 2, reason="this machine has one core")
FIRST, SECOND, *_ = [*sorted(ALLOWED), 0, 0]


class Machine:
    """What this process and each core had to do until the next look, as the test says."""

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        self.own = 0.0
        self.use: dict[int, float] = dict.fromkeys(ALLOWED, 0.0)
        self._now = self._own = 100.0
        self._ticks = dict.fromkeys(ALLOWED, (0, 0))
        patch.setattr(one_core.time, "monotonic", lambda: self._now)
        patch.setattr(one_core.time, "process_time", lambda: self._own)
        patch.setattr(one_core, "ticks", lambda: self._ticks)
        patch.setattr(one_core.random, "random", lambda: 0.0)

    def look(self, process: OneCore) -> None:
        """Have it look after a second like that."""
        self._now += 1
        self._own += self.own
        self._ticks = {
            core: (rest + round(1000 * (1 - self.use[core])), total + 1000)
            for core, (rest, total) in self._ticks.items()
        }
        process.consider()


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    yield Machine(monkeypatch)
    monkeypatch.undo()
    # All threads: those of the test's process were moved along.
    for thread in Path("/proc/self/task").iterdir():
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread.name), ALLOWED)


@contextmanager
def hashing(process: OneCore) -> Iterator[Callable[[], set[int]]]:
    """A thread that computes without the lock; asked where it may run afterwards, it ends that."""
    inside, end, ended, leave = (threading.Event() for _ in range(4))
    ids = []

    def work() -> None:
        ids.append(threading.get_native_id())
        with process.anywhere():
            inside.set()
            assert end.wait(10)
        ended.set()
        assert leave.wait(10)

    def cores_afterwards() -> set[int]:
        assert os.sched_getaffinity(ids[0]) == ALLOWED
        end.set()
        assert ended.wait(10)
        return os.sched_getaffinity(ids[0])

    thread = threading.Thread(target=work)
    thread.start()
    assert inside.wait(10)
    try:
        yield cores_afterwards
    finally:
        end.set()
        leave.set()
        thread.join(10)


def busy_on(core: int, machine: Machine, process: OneCore) -> None:
    machine.own = 0.5
    machine.use = dict.fromkeys(ALLOWED, 1.0) | {core: 0.1}
    machine.look(process)
    assert os.sched_getaffinity(0) == {core}


def at_rest(machine: Machine, process: OneCore) -> None:
    machine.own = 0.0
    machine.look(process)
    assert os.sched_getaffinity(0) == ALLOWED


@several_cores
def test_a_busy_process_keeps_to_the_least_used_core_until_it_rests(machine: Machine) -> None:
    process = OneCore(ALLOWED)
    busy_on(SECOND, machine, process)
    at_rest(machine, process)
    busy_on(FIRST, machine, process)
    with hashing(process):
        pass


@several_cores
def test_who_hashes_meanwhile_runs_anywhere_and_comes_back_to_where_the_others_are(
    machine: Machine,
) -> None:
    process = OneCore(ALLOWED)
    with hashing(process) as ended:
        busy_on(FIRST, machine, process)
        assert ended() == {FIRST}
    with hashing(process) as ended:
        # Others crowd it there, and there is room elsewhere.
        machine.own, machine.use = 0.3, dict.fromkeys(ALLOWED, 1.0) | {SECOND: 0.1}
        machine.look(process)
        assert os.sched_getaffinity(0) == {SECOND}
        assert ended() == {SECOND}
    with hashing(process) as ended:
        at_rest(machine, process)
        assert ended() == ALLOWED


@several_cores
def test_what_was_hashed_elsewhere_does_not_count(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    process = OneCore(ALLOWED)
    spent = iter([0.0, 0.9])
    monkeypatch.setattr(one_core.time, "thread_time", lambda: next(spent))
    with process.anywhere():
        pass
    machine.own = 1.0
    machine.look(process)
    assert os.sched_getaffinity(0) == ALLOWED


@several_cores
def test_a_core_that_was_taken_away_is_not_tried_again(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    process, set_affinity, end = OneCore(ALLOWED), os.sched_setaffinity, threading.Event()
    this, tried = threading.get_native_id(), []

    def refuse(thread: int, cores: set[int]) -> None:
        if thread == this and cores == {FIRST}:
            tried.append(FIRST)
            raise OSError(22, "Invalid argument")
        set_affinity(thread, cores)

    monkeypatch.setattr(os, "sched_setaffinity", refuse)
    machine.own, machine.use = 0.5, dict.fromkeys(ALLOWED, 1.0) | {FIRST: 0.1}
    other = threading.Thread(target=end.wait, args=(10,))
    other.start()
    try:
        machine.look(process)
        assert other.native_id is not None
        assert os.sched_getaffinity(other.native_id) == ALLOWED - {FIRST}
        machine.look(process)
    finally:
        end.set()
        other.join(10)
    assert tried == [FIRST]


@pytest.mark.parametrize("told", [{}, {min(ALLOWED): (0, 0)}, {10_000: (0, 0), 10_001: (0, 0)}])
def test_nothing_is_changed_where_cores_are_not_told_of(
    machine: Machine, monkeypatch: pytest.MonkeyPatch, told: Ticks
) -> None:
    monkeypatch.setattr(one_core, "ticks", lambda: told)
    process = OneCore({*ALLOWED, 9_999})
    machine.own = 0.9
    machine.look(process)
    assert os.sched_getaffinity(0) == ALLOWED


def test_a_process_with_one_core_never_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    process = OneCore([0])
    monkeypatch.setattr(one_core, "ticks", lambda: pytest.fail("it looked"))
    monkeypatch.setattr(one_core, "LOOK_SECONDS", 0)
    process.consider()


@several_cores
def test_a_password_is_hashed_on_any_core(monkeypatch: pytest.MonkeyPatch) -> None:
    os.sched_setaffinity(0, {FIRST})
    try:
        with passwords.turn():
            assert os.sched_getaffinity(0) == ALLOWED
    finally:
        os.sched_setaffinity(0, ALLOWED)


STAT = """cpu  10 0 10 160 20 0 0 0 0 0
cpu0 5 1 1 80 10 1 1 1 0 0
cpu3 5 0 5 80 10 0 0 0 7 7
intr 1 2 3
cpu4 is no core
"""


def test_what_the_system_counts_is_read_by_core() -> None:
    assert parse(STAT) == {0: (90, 100), 3: (90, 100)}
    later = {0: (95, 120), 3: (190, 200), 9: (1, 1)}
    assert shares(parse(STAT), later) == {0: 0.75, 3: 0.0}
    assert shares(later, later) == {0: 0.0, 3: 0.0, 9: 0.0}


@pytest.mark.parametrize("text", ["cpu0 1 2 3\n", "cpux 1 2 3 4 5 6 7 8\n", "cpu0 a b c d e\n"])
def test_what_it_counts_otherwise_is_left_alone(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(one_core.Path, "read_text", lambda _: text)
    assert one_core.ticks() == {}


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
        (0, 0.5, {0: 1.0, 1: 0.4}, 1),
        (0, 0.5, {0: 1.0, 1: 0.6}, 1),
        (0, 0.5, {0: 1.0, 1: 0.95}, 0),
        (0, 0.5, {0: 0.8, 1: 0.1}, 0),
        # The core that it kept to is not there any more.
        (7, 0.9, {0: 0.95, 1: 0.3}, 1),
    ],
)
def test_the_core_of_a_process(
    core: int | None, own: float, use: dict[int, float], chosen: int | None
) -> None:
    assert choose(core, own, use, always) == chosen


@pytest.mark.parametrize(
    ("own", "other", "chance", "chosen"),
    [
        (0.5, 0.4, 0.49, 1),
        (0.5, 0.4, 0.5, 0),
        (0.5, 0.6, 0.12, 1),
        (0.5, 0.6, 0.13, 0),
        (0.5, 0.9, 0.0, 0),
        (0.3, 0.9, 0.12, 1),
        (0.3, 0.9, 0.13, 0),
    ],
)
def test_of_those_who_are_crowded_half_go_where_there_is_room_and_few_where_there_is_little(
    own: float, other: float, chance: float, chosen: int
) -> None:
    assert choose(0, own, {0: 1.0, 1: other}, lambda: chance) == chosen


def test_those_who_begin_at_once_do_not_all_take_the_first_of_equal_cores() -> None:
    chances = iter([0.9, 0.1])
    assert choose(None, 0.5, {0: 0.02, 1: 0.04}, lambda: next(chances)) == 1


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
        assert core not in use or round(use[chosen], 1) <= round(use[core], 1)
