"""Keeps a process that computes much on one core.

The threads of a Python process take turns, as one lock lets one of them compute. Spread over cores
they wake another core for each turn, several times a request, which takes more time than what they
compute (docs/performance.md). So a busy process stays on one, until others crowd it there; one at
rest may run anywhere, and so may a thread that computes outside of that lock.
"""

from __future__ import annotations

import os
import random
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

LOOK_SECONDS = 0.5
# Shares of a core: from the first on a process is busy, below the second it is at rest.
BUSY = 0.25
AT_REST = 0.1
# A core is crowded when little is left of it and others take so much that they are no chance
# guests, which the system moves by itself.
FULL = 0.9
CROWD = 0.15
# With less than that of a full core, a process has more company there than it would have elsewhere.
LITTLE = 0.45
# Of several processes that see a better core at once, so many go: half, where there is room, and
# few, where it is only to take turns with whom to share.
TO_ROOM = 1 / 2
TO_COMPANY = 1 / 8

# Idle ticks and all ticks of each core, since the machine began.
Ticks = Mapping[int, tuple[int, int]]


def choose(
    core: int | None, own: float, use: Mapping[int, float], chance: Callable[[], float]
) -> int | None:
    """The core that a process should keep to from now on; None for any.

    Args:
        core: the one that it keeps to now.
        own: what it used of a core lately.
        use: of each core that it may run on, what was used lately, by it and by others.
        chance: a number from 0 up to 1, another one each time.
    """
    if own < (BUSY if core is None else AT_REST):
        return None
    best = min(use, key=lambda each: (round(use[each], 1), chance()))
    if core is None or core not in use:
        return best
    if use[core] <= FULL or use[core] - own <= CROWD:
        return core
    if use[best] + own <= 1:
        return best if chance() < TO_ROOM else core
    worth = own < LITTLE or use[core] - use[best] > CROWD
    return best if worth and chance() < TO_COMPANY else core


class OneCore:
    """The core that this process keeps to, and the threads that do not."""

    def __init__(self, allowed: Iterable[int]) -> None:
        """Nothing is changed before the first look.

        Args:
            allowed: the cores that this process was given; with fewer than two nothing ever is.
        """
        self._allowed = set(allowed)
        self._core: int | None = None
        self._loose: set[int] = set()
        self._changing = threading.Lock()
        self._remember(time.monotonic(), time.process_time(), ticks())

    def consider(self) -> None:
        """Look, if the last time is long enough ago, and move all threads if that is better.

        To be called by the thread that the others come from.
        """
        now, before = time.monotonic(), self._ticks
        since = now - self._looked
        if since < LOOK_SECONDS or len(self._allowed) < 2:
            return
        own = (time.process_time() - self._own - self._aside) / since
        self._remember(now, time.process_time(), ticks())
        # Where not all of them are told of, they may be counted otherwise.
        if self._allowed <= before.keys() & self._ticks.keys():
            use = shares(before, self._ticks)
            mine = {core: use[core] for core in self._allowed}
            with self._changing:
                self._keep_to(choose(self._core, own, mine, random.random))

    @contextmanager
    def anywhere(self) -> Iterator[None]:
        """Let this thread run on any core meanwhile: for what computes without Python's lock."""
        thread, began = threading.get_native_id(), time.thread_time()
        with self._changing:
            self._loose.add(thread)
            _allow([thread], self._allowed)
        try:
            yield
        finally:
            with self._changing:
                self._loose.discard(thread)
                _allow([thread], self._cores)
                self._aside += time.thread_time() - began

    @property
    def _cores(self) -> set[int]:
        return self._allowed if self._core is None else {self._core}

    def _remember(self, looked: float, own: float, all_ticks: Ticks) -> None:
        self._looked, self._own, self._ticks = looked, own, all_ticks
        self._aside = 0.0

    def _keep_to(self, core: int | None) -> None:
        if self._core is None and core is None:
            return
        self._core = core
        # All of them each time: one may have been begun meanwhile by one that was still elsewhere.
        with suppress(OSError):
            threads = {int(each.name) for each in Path("/proc/self/task").iterdir()}
            _allow(threads - self._loose, self._cores)
            if core is not None and os.sched_getaffinity(0) != {core}:
                self._allowed.discard(core)  # it was taken from this process, or from the machine
                self._core = None
                _allow(threads - self._loose, self._cores)


def ticks() -> Ticks:
    """What the system has counted by now; nothing where it does not count like that."""
    try:
        return parse(Path("/proc/stat").read_text())
    except (OSError, ValueError, IndexError):
        return {}


def parse(text: str) -> Ticks:
    """The ticks in a text of /proc/stat."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("cpu"):
            break
        name, *fields = line.split()
        if name != "cpu":
            counts = [int(field) for field in fields[:8]]
            found[int(name[3:])] = (counts[3] + counts[4], sum(counts))
    return found


def shares(before: Ticks, after: Ticks) -> dict[int, float]:
    """What was used of each core in between."""
    used = {}
    for core in before.keys() & after.keys():
        rest, total = (after[core][n] - before[core][n] for n in (0, 1))
        used[core] = 1 - rest / total if total > 0 else 0.0
    return used


def _allow(threads: Iterable[int], cores: set[int]) -> None:
    if len(cores) < 1 or not hasattr(os, "sched_setaffinity"):
        return
    for thread in threads:
        # It may have ended, and where it is forbidden all goes on as it was.
        with suppress(OSError):
            os.sched_setaffinity(thread, cores)


process = OneCore(os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else ())
