"""The catalog's primary is lost under load (promises 19, 20 and 24, small counts)."""

from __future__ import annotations

import itertools
import time

import pytest

from tests.docker.project import NAME, Project
from tests.load import PAST_THE_CACHE, load, report
from tests.shop import Shop, wait_until

# What is lost, and within how many seconds writes are back.
LOSSES = [("host", 30), ("postmaster", 15)]
SHOPPERS = 3


def whole(stack: Project) -> bool:
    """Whether the cluster has a leader and a synchronous standby that streams."""
    return sorted(stack.members().values()) == ["Leader running", "Sync Standby streaming"]


def lose(stack: Project, primary: str, what: str) -> None:
    """Kill the node's container with all that is in it, or PostgreSQL alone."""
    if what == "host":
        stack.docker("kill", "--signal=KILL", f"{NAME}-{primary}-1")
    else:
        kill = 'kill -KILL "$(head -n 1 "$PGDATA/postmaster.pid")"'
        stack.compose("exec", "-T", primary, "sh", "-c", kill)


@pytest.mark.promise(19)
@pytest.mark.promise(20)
@pytest.mark.promise(24)
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("what", "seconds"), LOSSES)
def test_no_acknowledged_order_is_lost_with_the_primary(
    stack: Project, shop: Shop, what: str, seconds: int
) -> None:
    wait_until(lambda: whole(stack), 60)
    primary = next(name for name, role in stack.members().items() if role.startswith("Leader"))
    with load(shop, SHOPPERS, 0.05) as log:
        wait_until(lambda: len(log.orders) >= 10, 30)
        lose(stack, primary, what)
        killed = time.monotonic()
        wait_until(lambda: [at for at, _, _ in log.orders if at > killed + 3], 60)
        wait_until(lambda: len(log.orders) >= 30, 60)
        stack.docker("start", f"{NAME}-{primary}-1")
        wait_until(lambda: whole(stack), 90)
        rejoined = time.monotonic()
    times = sorted([killed, *(at for at, _, _ in log.orders if at > killed)])
    gap = max(later - earlier for earlier, later in itertools.pairwise(times))
    refused = [each for each in log.failures("order") if each[2] != 503]
    report(
        f"writes back after {gap:.1f} s, the old primary follows again after "
        f"{rejoined - killed:.0f} s; {len(log.orders)} orders acknowledged; failures: "
        f"{len(log.failures('order'))} orders, {len(log.failures('cart'))} carts, "
        f"{len(log.failures('read'))} of {log.between(killed, rejoined)} reads"
    )
    assert gap <= seconds
    assert refused == [], "a checkout that cannot be finished is 503, and nothing else"
    assert log.failures("read") == [], "reads go on"
    assert stack.members()[primary].startswith("Sync Standby")
    for _, user, order in log.orders:
        assert shop.order(user, order["id"])["status"] == "confirmed"
    product = log.orders[0][2]["items"][0]["product_id"]
    answer = shop.http.get(f"/api/products/{product}", headers=PAST_THE_CACHE)
    assert answer.status_code == 200
    assert "audit: all hold" in stack.make("audit", "ON=compose")
