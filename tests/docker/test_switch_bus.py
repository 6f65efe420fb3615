"""`make up BUS=kafka` and back: the shop sells on either bus, and without it (promise 17)."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from tests.async_orders.rig import ended, taken
from tests.docker.kafka_server import require_image
from tests.docker.project import Project
from tests.docker.test_backup import settled
from tests.docker.test_containers import lacking
from tests.load import report
from tests.race.rig import seconds_of
from tests.shop import Shop, wait_until

ORDERS = 2_000 if os.environ.get("FEIRA_FULL") == "1" else 20


@pytest.fixture(scope="class")
def on_kafka(stack: Project) -> Iterator[Project]:
    """The same project with its events on Kafka; they are back on Redis afterwards."""
    require_image()
    seconds, _ = seconds_of(lambda: stack.make("up", "BUS=kafka"))
    report(f"`make up BUS=kafka` over a running shop: {seconds:.0f} s")
    yield stack
    stack.make("up", "BUS=redis")


def pending(shop: Shop) -> int:
    """Events that wait for the bus, of both services that write some."""
    status = shop.http.get("/status").json()
    return sum(int(status[service]["pending"]["bus"]) for service in ("catalog", "orders"))


class TestOnKafka:
    @pytest.mark.promise(39)
    @pytest.mark.timeout(900)
    def test_kafka_is_as_little_privileged_as_the_others(self, on_kafka: Project) -> None:
        assert lacking("kafka", on_kafka.inspect()["kafka"]) == []

    def test_orders_of_both_kinds_end_where_their_events_tell(
        self, on_kafka: Project, shop: Shop
    ) -> None:
        product = shop.new_product(stock=5)["id"]
        user = shop.new_user()
        waited_for = shop.buy(user, (product, 1))["id"]
        queued = taken(shop, user, (product, 1))
        assert ended(shop, user, queued)["status"] == "confirmed"
        for order_id in (waited_for, queued):
            wait_until(lambda id=order_id: settled(on_kafka, id), 60)  # type: ignore[misc]
        assert shop.stock(product) == 3

    @pytest.mark.promise(17)
    @pytest.mark.timeout(1800)
    def test_without_kafka_no_checkout_fails_and_the_backlog_drains(
        self, on_kafka: Project, shop: Shop
    ) -> None:
        product = shop.new_product(stock=ORDERS)["id"]
        user = shop.new_user()
        on_kafka.compose("kill", "kafka")
        try:
            took, bought = seconds_of(lambda: [shop.buy(user, (product, 1)) for _ in range(ORDERS)])
            wait_until(lambda: pending(shop) >= 2 * ORDERS, 60)
            most = pending(shop)
        finally:
            on_kafka.compose("start", "kafka")
        drained, _ = seconds_of(lambda: wait_until(lambda: pending(shop) == 0, 300))
        report(
            f"{ORDERS} orders in {took:.1f} s without Kafka, none failed; "
            f"{most} events waited, {drained:.1f} s to drain"
        )
        assert {order["status"] for order in bought} == {"confirmed"}
        wait_until(lambda: all(settled(on_kafka, order["id"]) for order in bought[-3:]), 120)
        assert "audit: all hold" in on_kafka.make("audit", "ON=compose")


@pytest.mark.timeout(900)
def test_the_way_back_to_redis_leaves_no_kafka(stack: Project, shop: Shop) -> None:
    """The fixture of the class has ended by now."""
    assert "kafka" not in stack.inspect()
    product = shop.new_product(stock=5)["id"]
    order = shop.buy(shop.new_user(), (product, 2))
    wait_until(lambda: settled(stack, order["id"]), 60)
