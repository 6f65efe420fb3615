"""Traces: one purchase is one trace, whoever takes part; and a collector that is away is nothing.

The stack's own processes are started anew with a collector, a real receiver of OTLP over HTTP, and
without one again afterwards.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from local.settings import REPOSITORY
from local.stack import Stack
from tests.async_orders.rig import ended, take
from tests.collector import Collector, Span, collecting
from tests.race.rig import FULL
from tests.shop import Account, Shop, wait_until

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
CLIENT = "00f067aa0ba902b7"
# Processes that a purchase goes through. Each takes seconds to start: not all of them every day.
TRACED = ("catalog-1", "orders", "orders-background", "orders-worker")
# (service, span) of an asynchronous purchase, with the span that each came of.
HOPS = {
    ("orders", "POST /api/orders"): None,
    ("orders", "publish order.placed"): ("orders", "POST /api/orders"),
    ("orders", "handle order.placed"): ("orders", "POST /api/orders"),
    ("orders", "enqueue checkout"): ("orders", "handle order.placed"),
    ("orders", "check out"): ("orders", "enqueue checkout"),
    ("orders", "GET cart"): ("orders", "check out"),
    ("orders", "saga reserve"): ("orders", "check out"),
    ("orders", "POST catalog"): ("orders", "saga reserve"),
    ("catalog", "POST /api/reservations"): ("orders", "POST catalog"),
    ("catalog", "database catalog"): ("catalog", "POST /api/reservations"),
    ("orders", "saga pay"): ("orders", "check out"),
    ("orders", "publish payment.settled"): ("orders", "saga pay"),
}
if FULL:
    TRACED += ("cart", "catalog-background", "cart-background")
    HOPS |= {
        ("cart", "GET /api/carts/<cart_id>"): ("orders", "GET cart"),
        ("catalog", "publish stock.updated"): ("catalog", "POST /api/reservations"),
        ("cart", "handle stock.updated"): ("catalog", "POST /api/reservations"),
        ("catalog", "handle payment.settled"): ("orders", "saga pay"),
    }


@pytest.fixture(scope="module")
def collector(stack: Stack) -> Iterator[Collector]:
    """A collector to which every process of the services sends its spans, twice a second."""
    files = {name: stack.settings.run / f"{name}.json" for name in TRACED}
    before = {name: path.read_text() for name, path in files.items()}
    with collecting() as running:
        traced = {"OTEL_EXPORTER_OTLP_ENDPOINT": running.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "500"}
        for name, path in files.items():
            spec = json.loads(before[name])
            path.write_text(json.dumps(spec | {"environment": spec["environment"] | traced}))
        restart(stack)
        try:
            yield running
        finally:
            for name, path in files.items():
                path.write_text(before[name])
            restart(stack)


def restart(stack: Stack) -> None:
    """End the services' processes and start them with what their files say now."""
    limit = time.monotonic() + 20
    stack.supervisor.stop_processes(TRACED, lambda: time.monotonic() < limit)
    assert time.monotonic() < limit, "a process had to be killed"
    for name in TRACED:
        stack.readiness.forget(name)
        stack.supervisor.start_process(name)
    stack.wait_ready(TRACED)


def bought(shop: Shop, user: Account, trace: str) -> str:
    """The id of an asynchronous order that a client asked for within a trace of its own."""
    cart_id = shop.new_cart((shop.new_product(stock=1)["id"], 1))
    shop.http.headers["traceparent"] = f"00-{trace}-{CLIENT}-01"
    try:
        answer = take(shop, user, cart_id)
    finally:
        del shop.http.headers["traceparent"]
    assert answer.status_code == 202, answer.text
    order_id: str = answer.json()["id"]
    assert ended(shop, user, order_id)["status"] == "confirmed"
    return order_id


def parents(spans: list[Span]) -> dict[tuple[str, str], set[tuple[str, str] | None]]:
    """(service, span) → that of its parents; None stands for the client's own span."""
    known = {span.id: (span.service, span.name) for span in spans}
    found: dict[tuple[str, str], set[tuple[str, str] | None]] = {}
    for span in spans:
        parent = None if span.parent == CLIENT else known.get(span.parent, ("?", span.parent))
        found.setdefault((span.service, span.name), set()).add(parent)
    return found


def test_an_asynchronous_purchase_is_one_trace_through_everything(
    stack: Stack, shop: Shop, customer: Account, collector: Collector
) -> None:
    # The first call of a worker that was just started is the first catalog's.
    order_id = bought(shop, customer, TRACE)

    def complete() -> bool:
        found = parents(collector.trace(TRACE))
        return all(parent in found.get(hop, ()) for hop, parent in HOPS.items())

    try:
        wait_until(complete)
    except AssertionError:
        found = parents(collector.trace(TRACE))
        assert {hop: found.get(hop) for hop in HOPS} == HOPS  # says what is missing
    spans = collector.trace(TRACE)
    assert {span.instance for span in spans} == set(TRACED)
    (checked_out,) = [span for span in spans if span.name == "check out"]
    assert checked_out.attributes["order"] == order_id
    # The worker's line names the trace, and nothing but requests has begun one.
    log = (stack.settings.logs / "orders-worker.log").read_text("utf-8", "replace")
    (worked,) = [line for line in log.splitlines() if order_id in line and '"worked"' in line]
    assert json.loads(worked)["trace_id"] == TRACE
    roots = {span.name for span in list(collector.spans) if not span.parent}
    assert {name.split()[0] for name in roots} <= {"GET", "POST", "DELETE", "PATCH", "PUT"}


@pytest.mark.skipif(not FULL, reason="its processes take long to give up the collector: make race")
def test_a_collector_that_is_away_fails_nothing(
    stack: Stack, shop: Shop, customer: Account, collector: Collector
) -> None:
    collector.close()
    logs = {name: stack.settings.logs / f"{name}.log" for name in ("orders", "orders-worker")}

    bought(shop, customer, TRACE.replace("4", "5"))

    def told(name: str) -> list[str]:
        text = logs[name].read_text("utf-8", "replace")
        return re.findall('"event": "(traces_not_taken|traces_taken_again|.*[Tt]ransient.*)"', text)

    wait_until(lambda: all(told(name) for name in logs))
    # It is tried again all the time, and that is told once.
    bought(shop, customer, TRACE.replace("4", "6"))
    assert {name: told(name) for name in logs} == {name: ["traces_not_taken"] for name in logs}


OFF = """
import sys
from tests.unit.test_docs import service
from chassis import tracing

for name in ("catalog", "cart", "orders"):
    service(name)
import orders.tasks
with tracing.span("nothing", "server") as span:
    assert span is None and tracing.traceparent() is None
loaded = {name.partition(".")[0] for name in sys.modules}
print(sorted(loaded & {"opentelemetry", "google", "requests", "http_transport"}))
"""


def test_nothing_of_opentelemetry_is_loaded_while_it_is_off() -> None:
    path = os.pathsep.join(("microservices", "."))
    done = subprocess.run(
        [sys.executable, "-c", OFF],
        cwd=REPOSITORY,
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.splitlines()[-1] == "[]"
