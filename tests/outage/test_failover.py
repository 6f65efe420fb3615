"""The loss of a PostgreSQL node, or of who decides which one leads, while shoppers buy."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from local.audit import audit
from local.stack import Stack
from tests.load import Log, load
from tests.outage.nodes import crash_postgres, lose_host, start, wait_whole
from tests.race.rig import FULL, away, figure, ledgers, rows, standby
from tests.shop import Shop, wait_until

SHOPPERS = 3
# Longer than a primary that may not go on without the store of locks would: it retries for 5 s.
STORE_AWAY_SECONDS = 12


@contextmanager
def shoppers(stack: Stack, shop: Shop) -> Iterator[Log]:
    """Purchases before, during and after what the block does; none of them lost or doubled."""
    wait_whole(stack, 30)
    with load(shop, SHOPPERS, 0.05) as log:
        wait_until(lambda: len(log.orders) >= 5, 30)
        yield log
        more = len(log.orders) + 5
        wait_until(lambda: len(log.orders) >= more, 30)
    wait_whole(stack, 60)
    nothing_lost_or_doubled(stack, shop, log)
    assert log.failures("read") == [], "reads go on"
    refused = [each for each in log.failures("order") if each[2] != 503]
    assert refused == [], "a checkout that cannot be finished is 503, and nothing else"


def nothing_lost_or_doubled(stack: Stack, shop: Shop, log: Log) -> None:
    """Every acknowledged order is there and was sold once, and the books are right."""
    users = [user.id for user in {id(user): user for _, user, _ in log.orders}.values()]
    unfinished = "SELECT 1 FROM orders WHERE user_id = ANY (%s) AND step <> 'done'"
    wait_until(lambda: not rows(stack, "orders", unfinished, users), 30)
    sold = rows(
        stack,
        "orders",
        "SELECT cart_id, id FROM orders WHERE user_id = ANY (%s) AND status = 'confirmed'",
        users,
    )
    acknowledged = {order["id"] for _, _, order in log.orders}
    assert acknowledged <= {order_id for _, order_id in sold}
    assert len(dict(sold)) == len(sold), "a cart was sold twice"
    product = log.orders[0][2]["items"][0]["product_id"]
    wait_until(lambda: ledgers(stack, [product])[product].held == 0, 20)
    ledger = ledgers(stack, [product])[product]
    assert ledger.balanced and ledger.sold == len(sold)
    assert audit(stack.dsn("auditor", "catalog"), stack.dsn("auditor", "orders")) == 0


def longest_gap(log: Log, since: float) -> float:
    """The longest time without an acknowledged order, in seconds."""
    times = [since, *sorted(at for at, _, _ in log.orders if at > since)]
    return max(later - earlier for earlier, later in itertools.pairwise(times))


def wait_for_orders(log: Log, count: int, seconds: float) -> None:
    """Wait until so many more are acknowledged."""
    wanted = len(log.orders) + count
    wait_until(lambda: len(log.orders) >= wanted, seconds)


def told(what: str, log: Log, gap: float) -> None:
    """One line of figures."""
    figure(
        what,
        f"writes back after {gap:.1f} s; {len(log.orders)} orders acknowledged; failures: "
        f"{len(log.failures('order'))} orders, {len(log.failures('cart'))} carts, "
        f"{len(log.failures('read'))} reads",
    )


@pytest.mark.promise(19)
@pytest.mark.timeout(180)
def test_the_loss_of_the_primarys_host_loses_no_acknowledged_order(
    stack: Stack, shop: Shop
) -> None:
    primary, other = stack.cluster.primary(), standby(stack)
    with shoppers(stack, shop) as log:
        lost = time.monotonic()
        lose_host(stack, primary)
        wait_until(lambda: stack.cluster.role(other) == "primary", 40)
        wait_for_orders(log, SHOPPERS, 40)
        gap = longest_gap(log, lost)
        start(stack, primary)
    told("host lost", log, gap)
    assert gap <= 30
    assert stack.cluster.role(primary) == "sync standby"


@pytest.mark.promise(20)
@pytest.mark.timeout(120)
def test_a_primary_that_crashes_is_succeeded_at_once(stack: Stack, shop: Shop) -> None:
    with shoppers(stack, shop) as log:
        lost = time.monotonic()
        crash_postgres(stack, stack.cluster.primary())
        wait_for_orders(log, SHOPPERS, 40)
        gap = longest_gap(log, lost)
    told("postmaster crashed", log, gap)
    assert gap <= 15


@pytest.mark.skipif(not FULL, reason="half a minute of waiting, as in make test-docker: make race")
@pytest.mark.promise(22)
@pytest.mark.promise(23)
@pytest.mark.timeout(120)
def test_no_store_of_locks_and_then_no_standby(stack: Stack, shop: Shop) -> None:
    primary, other = stack.cluster.primary(), standby(stack)
    with shoppers(stack, shop) as log:
        began = time.monotonic()
        with away(stack, "etcd"):
            wait_until(lambda: time.monotonic() > began + STORE_AWAY_SECONDS, 20)
            assert stack.cluster.primary() == primary
        without_store = longest_gap(log, began)
        wait_whole(stack, 20)
        lost = time.monotonic()
        lose_host(stack, other)
        wait_for_orders(log, SHOPPERS, 40)
        gap = longest_gap(log, lost)
        start(stack, other)
    told("standby lost", log, gap)
    figure("store of locks away", f"longest time without an order {without_store:.1f} s")
    assert without_store < 5, "nobody is demoted while both nodes see each other"
    assert gap <= 20
    assert stack.cluster.primary() == primary
