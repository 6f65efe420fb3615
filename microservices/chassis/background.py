"""Loops that run beside a service's requests: relay, consumer, sweeps.

A loop is a function that does one round and says whether it should be called again at once.
It runs until SIGTERM; a round that fails is logged and tried again with a growing pause.
"""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import structlog

from chassis import exposed
from chassis.metrics import LOOP_FAILURES, samples

LONGEST_PAUSE = 10.0

log = structlog.get_logger()


@dataclass(frozen=True)
class Loop:
    """One recurring duty.

    Attributes:
        name: for logs.
        cycle: does one round; True means that there is more to do now.
        interval: seconds between rounds when there is nothing more to do; 0 for a cycle that
            waits by itself.
    """

    name: str
    cycle: Callable[[], bool]
    interval: float


def run(loops: Iterable[Loop], metrics_bind: str | None = None) -> None:
    """Run every loop in a thread of its own until SIGTERM or SIGINT.

    Args:
        loops: the duties.
        metrics_bind: host:port at which this process shows its metrics, if it shall.
    """
    exposed.expose(metrics_bind)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threads = [
        threading.Thread(target=_run_loop, args=(loop, stop), name=loop.name, daemon=True)
        for loop in loops
    ]
    for thread in threads:
        thread.start()
    log.info("background_started", loops=[thread.name for thread in threads])
    while not stop.wait(1.0):
        samples.take()
        if not all(thread.is_alive() for thread in threads):
            # A dead thread would be a duty silently not done; the supervisor starts us anew.
            log.error("background_thread_died")
            os._exit(1)
    for thread in threads:
        thread.join(timeout=5.0)


def _run_loop(loop: Loop, stop: threading.Event) -> None:
    failures = 0
    failed = LOOP_FAILURES.labels(loop.name)
    while not stop.is_set():
        try:
            more = loop.cycle()
            failures = 0
        except Exception as error:
            failures += 1
            failed.inc()
            log.warning("loop_failed", loop=loop.name, error=repr(error)[:300], failures=failures)
            stop.wait(min(LONGEST_PAUSE, 0.1 * 2 ** min(failures, 8)) * (0.5 + random.random() / 2))
            continue
        if not more and loop.interval:
            stop.wait(loop.interval)
