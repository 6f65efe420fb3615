"""Prometheus metrics of a process; several workers share them through PROMETHEUS_MULTIPROC_DIR."""

from __future__ import annotations

import time

from flask import Flask, Response, g, request
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
    multiprocess,
    values,
)

CONTENT_TYPE = CONTENT_TYPE_LATEST

REQUESTS = Counter("feira_requests", "Requests answered.", ["service", "route", "method", "status"])
LATENCY = Histogram("feira_request_seconds", "Time to answer.", ["service", "route"])
CIRCUIT_OPENINGS = Counter("feira_circuit_openings", "Times a circuit breaker opened.", ["target"])
HELD = Histogram(
    "feira_database_held_seconds",
    "How long a call was held that had to try again, in a failover or a deadlock.",
    ["database", "outcome"],
)
STOCK_CONFLICTS = Counter("feira_stock_conflicts", "Reservations refused for lack of stock.")
SAGA_STEPS = Counter("feira_saga_steps", "Steps of checkout sagas.", ["step", "outcome"])


def register(app: Flask, service: str) -> None:
    """Count every answered request of this app."""

    def count(response: Response) -> Response:
        route = request.url_rule.rule if request.url_rule else "none"
        REQUESTS.labels(service, route, request.method, str(response.status_code)).inc()
        LATENCY.labels(service, route).observe(time.perf_counter() - g.started)
        return response

    app.after_request(count)


def exposition() -> bytes:
    """The metrics of this service's workers in Prometheus' text format."""
    if values.ValueClass is values.MutexValue:  # one process, no shared directory
        return generate_latest(REGISTRY)
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
