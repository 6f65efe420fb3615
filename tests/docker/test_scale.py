"""Instances come and go under load, and no shopper notices (promise 36)."""

from __future__ import annotations

import json
import os
import re
import time
from datetime import UTC, datetime

import pytest

from tests.async_orders.rig import ended, taken
from tests.docker.project import NAME, Project
from tests.load import Log, load, report
from tests.shop import Shop, wait_until

FULL = os.environ.get("FEIRA_FULL") == "1"
# Together about 100 requests a second at full counts. Two cores that also run the clients and
# start containers do not bear that, so it is 30 a second otherwise.
SHOPPERS, PAUSE = 3, 0.2
READERS, READS_PER_SECOND = (20, 85.0) if FULL else (8, 18.0)
# Well within the 30 s after which a new instance has to have its share.
WATCHED_SECONDS = 7
ROUNDS = 10 if FULL else 1
WORKERS = "orders-worker"
NORMAL = {"catalog": 1, "cart": 1, "orders": 1, WORKERS: 1}
USUAL = {"catalog": 2, "cart": 1, "orders": 1, WORKERS: 1}
SCALED = {"catalog": 3, "cart": 3, "orders": 3, WORKERS: 3}
# Asynchronous orders of each round: enough for every worker to get some.
QUEUED = 24


def scale(stack: Project, instances: dict[str, int]) -> None:
    """As an operator would."""
    options = [f"--scale={service}={count}" for service, count in instances.items()]
    stack.compose("up", "--detach", "--no-build", "--wait", *options)


def shares(stack: Project, service: str, since: str) -> list[float]:
    """The part of a service's requests from outside that went to each of its instances."""
    names = stack.containers(service)
    every = json.loads(stack.docker("inspect", *names))
    networks = [each["NetworkSettings"]["Networks"] for each in every]
    counts = dict.fromkeys((each[f"{NAME}_services"]["IPAddress"] for each in networks), 0)
    for line in stack.docker("logs", "--since", since, f"{NAME}-gateway-1").splitlines():
        # Of several that were tried, the last one answered.
        found = re.search(r'"upstream":"(?:[^"]*, )?([0-9.]+):', line)
        if found and found[1] in counts:
            counts[found[1]] += 1
    total = max(1, sum(counts.values()))
    return [round(count / total, 2) for count in counts.values()]


def checked_out(stack: Project, since: str) -> list[int]:
    """How many orders each worker brought to an end."""
    logs = [stack.docker("logs", "--since", since, name) for name in stack.containers(WORKERS)]
    return [log.count('"event": "worked"') for log in logs]


def failures_at_the_gateway(stack: Project) -> str:
    """What its access log says of requests that got no usable answer."""
    lines = stack.docker("logs", f"{NAME}-gateway-1").splitlines()
    return "\n".join(line for line in lines if '"status":5' in line)


@pytest.mark.promise(36)
@pytest.mark.timeout(1800)
def test_scaling_out_and_back_fails_no_request(stack: Project, shop: Shop) -> None:
    gateway = stack.inspect()["gateway"]
    scale(stack, NORMAL)
    with load(shop, SHOPPERS, PAUSE, readers=READERS, rate=READS_PER_SECOND) as log:
        wait_until(lambda: len(log.orders) >= SHOPPERS, 30)
        began = time.monotonic()
        every = [out_and_back(stack, shop, log) for _ in range(ROUNDS)]
        seconds = time.monotonic() - began
    scale(stack, USUAL)
    report(
        f"{ROUNDS} times 1 to 3 to 1: {len(log.answers)} requests"
        f" ({log.between(began, began + seconds) / seconds:.0f}/s), {len(log.orders)} orders, "
        f"{len(log.complaints)} without a usable answer; shares of each instance: {every}"
    )
    assert log.complaints == [], failures_at_the_gateway(stack)
    for portions in every:
        for service, portion in portions.items():
            assert len(portion) == SCALED[service]
            assert min(portion[NORMAL[service] :]) >= 0.2, (service, portion)
    after = stack.inspect()["gateway"]
    assert (after["Id"], after["State"]["StartedAt"], after["RestartCount"]) == (
        gateway["Id"],
        gateway["State"]["StartedAt"],
        0,
    )


def out_and_back(stack: Project, shop: Shop, log: Log) -> dict[str, list[float]]:
    """Scale every service out and back; what part each instance served meanwhile."""
    scale(stack, SCALED)
    since = datetime.now(UTC).isoformat()
    buyer, product = shop.new_user(), shop.new_product(stock=QUEUED)["id"]
    ids = [taken(shop, buyer, (product, 1)) for _ in range(QUEUED // 2)]
    wait_for(log, WATCHED_SECONDS)
    portions = {service: shares(stack, service, since) for service in SCALED.keys() - {WORKERS}}
    wait_until(lambda: min(checked_out(stack, since)) > 0, 60)
    # Workers that are taken away now have some of these in hand.
    ids += [taken(shop, buyer, (product, 1)) for _ in range(QUEUED // 2)]
    scale(stack, NORMAL)
    wait_for(log, WATCHED_SECONDS / 2)
    assert {ended(shop, buyer, each, 120)["status"] for each in ids} == {"confirmed"}
    assert shop.stock(product) == 0
    return portions


def wait_for(log: Log, seconds: float) -> None:
    """Let the load go on for a while, and see that it does."""
    start = time.monotonic()
    wait_until(lambda: time.monotonic() - start > seconds, seconds + 5)
    assert log.between(start, time.monotonic()) > seconds
