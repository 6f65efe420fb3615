"""The operations routes of every service: /health, /ready, /metrics, /status."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from flask import Flask, Response, jsonify

from chassis import deadline, metrics
from chassis.auth import allow
from chassis.problems import Unavailable
from chassis.settings import ServiceSettings

Checks = Mapping[str, Callable[[], bool]]
Reports = Mapping[str, Callable[[], Any]]
# The gateway waits 2 s for the status of a service, and for its readiness nobody waits much longer.
REPORT_SECONDS = 0.5
CHECK_SECONDS = 2.0
# Of its time that a process spends on reports that count whole tables, at most.
SHARE = 0.05

Value = TypeVar("Value")


def register(app: Flask, settings: ServiceSettings, checks: Checks, reports: Reports) -> None:
    """Add the four routes.

    Args:
        checks: name of a store → whether it serves now; any False makes /ready a 503.
        reports: name of a member of /status → its value; one that fails reads `null`.
    """

    @allow("public")
    def health() -> dict[str, str]:
        return {"status": "ok"}

    @allow("public")
    def ready() -> dict[str, Any]:
        with deadline.within(CHECK_SECONDS):
            away = sorted(name for name, check in checks.items() if not check())
        if away:
            raise Unavailable(f"Not ready: {', '.join(away)}.", away=away)
        return {"status": "ready", "checks": sorted(checks)}

    @allow("public")
    def status() -> Response:
        answer: dict[str, Any] = {"node": settings.node_name, "instance": settings.instance}
        for name, report in reports.items():
            try:
                with deadline.within(REPORT_SECONDS):
                    answer[name] = report()
            except Exception:  # a status page shows what it can when a store is away
                answer[name] = None
        response = jsonify(answer)
        response.headers["Cache-Control"] = "no-store"
        return response

    @allow("public")
    def exposed_metrics() -> Response:
        return Response(metrics.exposition(), content_type=metrics.CONTENT_TYPE)

    app.add_url_rule("/health", view_func=health)
    app.add_url_rule("/ready", view_func=ready)
    app.add_url_rule("/status", view_func=status)
    app.add_url_rule("/metrics", view_func=exposed_metrics)


def sparing(report: Callable[[], Value]) -> Callable[[], Value]:
    """A report that is made anew only after 20 times as long as the last one took.

    So it is live in a small shop, and a few seconds old where it counts a million rows.
    """
    last: list[tuple[float, Value]] = []

    def told() -> Value:
        began = time.monotonic()
        if last and began < last[0][0]:
            return last[0][1]
        found = report()
        now = time.monotonic()
        last[:] = [(now + (now - began) / SHARE, found)]
        return found

    return told
