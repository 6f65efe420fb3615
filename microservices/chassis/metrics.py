"""Prometheus metrics of a process; several processes share them through PROMETHEUS_MULTIPROC_DIR.

Children of the hot metrics are looked up once: finding one by its labels costs more than counting.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

from flask import Flask, Response, g, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Metric,
    generate_latest,
    multiprocess,
    values,
)

CONTENT_TYPE = CONTENT_TYPE_LATEST
SAMPLE_SECONDS = 1.0

REQUESTS = Counter("feira_requests", "Requests answered.", ["service", "route", "method", "status"])
LATENCY = Histogram(
    "feira_request_seconds",
    "Time to answer.",
    ["service", "route"],
    buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
)
CIRCUIT_OPENINGS = Counter("feira_circuit_openings", "Times a circuit breaker opened.", ["target"])
# Of all processes, the worst; those that have ended do not count.
CIRCUIT_STATE = Gauge(
    "feira_circuit_state",
    "0: closed, 0.5: half-open, 1: open.",
    ["target"],
    multiprocess_mode="livemax",
)
HELD = Histogram(
    "feira_database_held_seconds",
    "How long a call was held that had to try again: a failover, a deadlock, a row that changed.",
    ["database", "outcome"],
)
POOL_IN_USE = Gauge(
    "feira_pool_in_use",
    "Connections to PostgreSQL in use, in the last second.",
    ["database", "pool"],
    multiprocess_mode="livesum",
)
POOL_SIZE = Gauge(
    "feira_pool_size",
    "Connections to PostgreSQL that may be used at once.",
    ["database", "pool"],
    multiprocess_mode="livesum",
)
STOCK_CONFLICTS = Counter("feira_stock_conflicts", "Reservations refused for lack of stock.")
SAGA_STEPS = Counter("feira_saga_steps", "Steps of checkout sagas.", ["step", "outcome"])
ORDER_SECONDS = Histogram(
    "feira_order_seconds",
    "From the opening of an order to the end of its checkout.",
    ["mode", "status"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300),
)
UNFINISHED_SECONDS = Gauge(
    "feira_unfinished_seconds",
    "Age of the oldest order whose checkout has not ended; 0 without one.",
    multiprocess_mode="livemax",
)
TASKS_QUEUED = Gauge(
    "feira_tasks_queued",
    "Asynchronous orders in the workers' queue.",
    multiprocess_mode="livemax",
)
OUTBOX_PENDING = Gauge(
    "feira_outbox_pending",
    "Events that a sink has not had.",
    ["service", "sink"],
    multiprocess_mode="livemax",
)
OUTBOX_LAG = Gauge(
    "feira_outbox_lag_seconds",
    "Age of the oldest event that a sink has not had; 0 without one.",
    ["service", "sink"],
    multiprocess_mode="livemax",
)
EVENTS = Counter("feira_events", "Events consumed.", ["consumer", "type", "outcome"])
EVENT_DELAY = Histogram(
    "feira_event_delay_seconds",
    "From an event's time to the end of its effect.",
    ["consumer"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600),
)
LOOP_FAILURES = Counter("feira_loop_failures", "Rounds of a background loop that failed.", ["loop"])


def register(app: Flask, service: str) -> None:
    """Count every answered request of this app."""

    @cache
    def requests(route: str, method: str, status: int) -> Counter:
        return REQUESTS.labels(service, route, method, str(status))

    @cache
    def latency(route: str) -> Histogram:
        return LATENCY.labels(service, route)

    def count(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "none"
        requests(route, request.method, response.status_code).inc()
        latency(route).observe(time.perf_counter() - g.started)
        return response

    app.after_request(count)


@cache
def saga_step(step: str, outcome: str) -> Counter:
    """Counts one kind of line of sagas' logs."""
    return SAGA_STEPS.labels(step, outcome)


@cache
def events(consumer: str, kind: str, outcome: str) -> Counter:
    """Counts what became of one kind of event at one consumer."""
    return EVENTS.labels(consumer, kind, outcome)


class Samples:
    """What is looked at once a second, because counting each change of it would cost more."""

    def __init__(self) -> None:
        self._samplers: list[Callable[[], None]] = []
        self._next = 0.0
        self._lock = threading.Lock()

    def add(self, sampler: Callable[[], None]) -> None:
        """Have something be looked at from now on, once a second."""
        self._samplers.append(sampler)

    def take(self, *, now: bool = False) -> None:
        """Look, if the last time is a second ago or it has to be now."""
        if not now and time.monotonic() < self._next:
            return
        with self._lock:
            self._next = time.monotonic() + SAMPLE_SECONDS
            for sampler in self._samplers:
                sampler()


samples = Samples()


def _forget_ended(folder: Path) -> None:
    """Drop what only counts while its process lives, of processes that were killed."""
    for pid in {int(path.stem.rpartition("_")[2]) for path in folder.glob("gauge_live*.db")}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            multiprocess.mark_process_dead(pid, folder)  # type: ignore[no-untyped-call]
        except PermissionError:
            continue  # it lives, as somebody else


class _Shared(CollectorRegistry):
    """The metrics of all processes that share a directory with this one, or its own."""

    def collect(self) -> Iterator[Metric]:
        samples.take(now=True)
        if values.ValueClass is values.MutexValue:  # one process, no shared directory
            yield from REGISTRY.collect()
            return
        collector = multiprocess.MultiProcessCollector(None)  # type: ignore[no-untyped-call]
        _forget_ended(Path(collector._path))
        yield from collector.collect()  # type: ignore[no-untyped-call]


SHARED = _Shared()


def exposition() -> bytes:
    """The metrics of all processes that share with this one, in Prometheus' text format."""
    return generate_latest(SHARED)
