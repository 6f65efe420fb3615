"""Instances come and go under load, and no shopper notices (promise 36)."""

from __future__ import annotations

import time
from datetime import UTC, datetime

from tests.docker.load import Log, load, report
from tests.docker.project import Project
from tests.shop import Shop, wait_until

SHOPPERS = 6
PAUSE = 0.1
SERVED_WITHIN_SECONDS = 30
WATCHED_SECONDS = 10
NORMAL = {"catalog": 2, "cart": 1, "orders": 1}
SCALED = {"catalog": 3, "cart": 3, "orders": 3}


def scale(stack: Project, instances: dict[str, int]) -> None:
    """As an operator would."""
    options = [f"--scale={service}={count}" for service, count in instances.items()]
    stack.compose("up", "--detach", "--no-build", "--wait", *options)


def served(stack: Project, container: str, since: str) -> int:
    """Requests that an instance logged."""
    lines = stack.docker("logs", "--since", since, container).splitlines()
    return sum('"event":"request"' in line.replace(" ", "") for line in lines)


def shares(stack: Project, service: str, since: str) -> list[float]:
    """The part of a service's requests that each of its instances served."""
    counts = [served(stack, name, since) for name in stack.containers(service)]
    return [round(count / max(1, sum(counts)), 2) for count in counts]


def test_scaling_out_and_back_fails_no_request(stack: Project, shop: Shop) -> None:
    gateway = stack.inspect()["gateway"]
    with load(shop, SHOPPERS, PAUSE) as log:
        begin(log)
        before = time.monotonic()
        scale(stack, SCALED)
        ready = time.monotonic()
        since = datetime.now(UTC).isoformat()
        wait_for(log, WATCHED_SECONDS)
        portions = {service: shares(stack, service, since) for service in SCALED}
        scale(stack, NORMAL)
        taken_away = time.monotonic()
        wait_for(log, WATCHED_SECONDS / 2)
    report(
        f"{len(log.answers)} requests, {len(log.orders)} orders; scaled out in "
        f"{ready - before:.0f} s; shares of each instance: {portions}; back after "
        f"{taken_away - ready:.0f} s; failures: {log.failures()}"
    )
    assert log.failures() == []
    assert len(log.orders) > 20
    for service, portion in portions.items():
        assert len(portion) == SCALED[service]
        assert min(portion) >= 0.2, (service, portion)
    assert WATCHED_SECONDS <= SERVED_WITHIN_SECONDS
    after = stack.inspect()["gateway"]
    assert (after["Id"], after["State"]["StartedAt"], after["RestartCount"]) == (
        gateway["Id"],
        gateway["State"]["StartedAt"],
        0,
    )


def begin(log: Log) -> None:
    """Wait until every shopper has bought something."""
    wait_until(lambda: len(log.orders) >= SHOPPERS, 30)


def wait_for(log: Log, seconds: float) -> None:
    """Let the load go on for a while, and see that it does."""
    start = time.monotonic()
    wait_until(lambda: time.monotonic() - start > seconds, seconds + 5)
    assert log.between(start, time.monotonic()) > seconds
