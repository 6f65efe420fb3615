"""Keeps a process that computes much on one core.

The threads of a Python process take turns, as one lock lets one of them compute. Spread over cores
they wake another core for each turn, several times a request, which takes more time than what they
compute (docs/performance.md). So a busy process stays where it is, unless others crowd it there
while another core has time; one at rest may run anywhere. What computes outside of that lock is
better off `anywhere`.
"""

from __future__ import annotations

import os
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

LOOK_SECONDS = 0.5
# Shares of a core: from the first on a process is busy, below the second it is at rest.
BUSY = 0.25
AT_REST = 0.1
# A core is crowded when little is left of it and others take so much that they are no chance
# guests, which the system moves by itself. Another has to be better by as much.
FULL = 0.9
CROWD = 0.15
# Of several processes that see a better core at once, half go there.
SOME_OF_THEM = 0.5


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
    if core is None:
        return best
    here = use.get(core, 1.0)
    crowded = here > FULL and here - own > CROWD and here - use[best] > CROWD
    return best if crowded and chance() < SOME_OF_THEM else core


class OneCore:
    """The core that this process keeps to, looked at twice a second."""

    def __init__(self) -> None:
        """Nothing is changed before the first look."""
        self._core: int | None = None
        self._looked = time.monotonic()
        self._own = time.process_time()
        self._ticks = _ticks()

    def consider(self) -> None:
        """Look, if the last time is long enough ago, and move all threads if that is better."""
        now = time.monotonic()
        since = now - self._looked
        if since < LOOK_SECONDS or len(ALLOWED) < 2:
            return
        own, ticks = time.process_time(), _ticks()
        use = {
            core: _share(self._ticks[core], ticks[core])
            for core in ALLOWED & self._ticks.keys() & ticks.keys()
        }
        chosen = choose(self._core, (own - self._own) / since, use, random.random) if use else None
        self._looked, self._own, self._ticks = now, own, ticks
        if chosen != self._core:
            self._core = chosen
            _allow(ALLOWED if chosen is None else {chosen})


@contextmanager
def anywhere() -> Iterator[None]:
    """Let this thread run on any core meanwhile: for what computes without Python's lock."""
    if len(ALLOWED) < 2:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, ALLOWED)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _allow(cores: set[int]) -> None:
    for thread in Path("/proc/self/task").iterdir():
        # It may have ended, or the machine may have lost the core.
        with suppress(OSError):
            os.sched_setaffinity(int(thread.name), cores)


def _ticks() -> dict[int, tuple[int, int]]:
    """Of each core, how long it was at rest and how long it was there, since the machine began."""
    try:
        text = Path("/proc/stat").read_text()
    except OSError:
        return {}
    found = {}
    for line in text.splitlines():
        name, *fields = line.split()
        if name.startswith("cpu") and name[3:]:
            ticks = [int(field) for field in fields[:8]]
            found[int(name[3:])] = (ticks[3] + ticks[4], sum(ticks))
    return found


def _share(before: tuple[int, int], after: tuple[int, int]) -> float:
    """What was used of a core in between."""
    rest, total = after[0] - before[0], after[1] - before[1]
    return 1 - rest / total if total > 0 else 0.0


# Those that this process was given, by whoever started it; none where a system has no such thing.
ALLOWED: set[int] = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
