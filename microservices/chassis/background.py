"""Loops that run beside a service's requests: relay, consumer, sweeps.

A loop is a function that does one round and says whether it should be called again at once.
It runs until SIGTERM; a round that fails is logged and tried again with a growing pause.

A file can be kept young as long as every loop turns, for whoever has to know that from outside.
"""

from __future__ import annotations

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path

import click
import structlog

from chassis import exposed
from chassis.metrics import LOOP_FAILURES, samples

LONGEST_PAUSE = 10.0
# How long after its interval a loop may not have finished a round before it no longer turns: a
# failover, or a Redis that starts again, is over by then.
PATIENCE_SECONDS = 60.0
BEAT_SECONDS = 1.0

log = structlog.get_logger()

heartbeat_option = click.option(
    "--heartbeat",
    type=click.Path(dir_okay=False, path_type=Path),
    help="A file that is kept young while every duty is done.",
)


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


def run(
    loops: Iterable[Loop], *, heartbeat: Path | None = None, metrics_bind: str | None = None
) -> None:
    """Run every loop in a thread of its own until SIGTERM or SIGINT.

    Args:
        heartbeat: a file that is touched every second while all loops turn: each has finished a
            round without a failure, the last one no longer ago than its interval and a minute.
        metrics_bind: host:port at which this process shows its metrics, if it shall.
    """
    exposed.expose(metrics_bind)
    stop = threading.Event()
    every = list(loops)
    finished: dict[str, float] = {}
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    threads = [
        threading.Thread(target=_run_loop, args=(loop, stop, finished), name=loop.name, daemon=True)
        for loop in every
    ]
    for thread in threads:
        thread.start()
    log.info("background_started", loops=[thread.name for thread in threads])
    while not stop.wait(BEAT_SECONDS):
        samples.take()
        if not all(thread.is_alive() for thread in threads):
            # A dead thread would be a duty silently not done; the supervisor starts us anew.
            log.error("background_thread_died")
            os._exit(1)
        if heartbeat and all(_turns(loop, finished) for loop in every):
            heartbeat.touch()
    for thread in threads:
        thread.join(timeout=5.0)


def _turns(loop: Loop, finished: dict[str, float]) -> bool:
    at = finished.get(loop.name)
    return at is not None and time.monotonic() - at < loop.interval + PATIENCE_SECONDS


def _run_loop(loop: Loop, stop: threading.Event, finished: dict[str, float]) -> None:
    failures = 0
    failed = LOOP_FAILURES.labels(loop.name)
    while not stop.is_set():
        try:
            more = loop.cycle()
            failures = 0
            finished[loop.name] = time.monotonic()
        except Exception as error:
            failures += 1
            failed.inc()
            log.warning("loop_failed", loop=loop.name, error=repr(error)[:300], failures=failures)
            stop.wait(min(LONGEST_PAUSE, 0.1 * 2 ** min(failures, 8)) * (0.5 + random.random() / 2))
            continue
        if not more and loop.interval:
            stop.wait(loop.interval)
