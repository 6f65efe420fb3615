"""Whatever dies between the 202 and the end of an order, the order ends once. Promise 18."""

from __future__ import annotations

import os
import random
import signal
import threading
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial

import psutil
import pytest
from redis import Redis

from chassis.clock import SystemClock
from local.stack import Stack
from orders import dispatch, queue
from orders.leases import take_over
from orders.tasks import Enqueuer
from orders.work import check_out
from tests.async_orders.rig import (
    charged,
    ended,
    in_full,
    own_ports,
    take,
    taken,
    wait_all_ended,
)
from tests.contract.purchases import timeline
from tests.race.rig import FULL, away, figure, kill, ledgers, rows, tree, wait_back
from tests.shop import Account, Shop, wait_until

KILLS = 50 if FULL else 1
ORDERS_PER_KILL = 4
# The task of a worker that is no more is looked for after a minute (TASK_PATIENCE_SECONDS).
ENDS_WITHIN_SECONDS = 120
WORKER = "orders-worker"
BEGUN = "SELECT 1 FROM orders WHERE id = ANY (%s) AND version > 1 LIMIT 1"


def children(stack: Stack) -> list[psutil.Process]:
    """The processes that do a worker's tasks."""
    return tree(stack.pid(WORKER))[1:]


def kill_a_child(stack: Stack) -> None:
    """SIGKILL one of them, as the kernel does that runs out of memory."""
    with suppress(psutil.NoSuchProcess):
        random.choice(wait_until(lambda: children(stack))).kill()


def kill_the_worker(stack: Stack) -> None:
    """SIGKILL the worker and all its children, as with its container."""
    old = stack.pid(WORKER)
    for process in tree(old):
        with suppress(psutil.NoSuchProcess):
            process.kill()
    wait_back(stack, WORKER, old)


@pytest.mark.promise(18, minutes=15)
@pytest.mark.timeout(3600 if FULL else 240)
@pytest.mark.parametrize("strike", [kill_a_child, pytest.param(kill_the_worker, marks=in_full)])
def test_every_order_has_its_effect_once_when_workers_are_killed(
    stack: Stack, shop: Shop, strike: Callable[[Stack], None]
) -> None:
    user = shop.new_user()
    wanted = KILLS * ORDERS_PER_KILL
    product = shop.new_product(stock=wanted + 5)["id"]
    pause = threading.Event()
    for _ in range(KILLS):
        ids = [taken(shop, user, (product, 1)) for _ in range(ORDERS_PER_KILL)]
        wait_until(partial(rows, stack, "orders", BEGUN, ids), 45)
        pause.wait(random.random() * 0.05)  # any moment from here on
        strike(stack)
    statuses = wait_all_ended(stack, user, ENDS_WITHIN_SECONDS)

    again = "SELECT count(*) FROM orders WHERE user_id = %s AND version > 5"
    taken_over = rows(stack, "orders", again, user.id)[0][0]
    figure(
        "promise 18",
        f"{strike.__name__} x {KILLS} over {wanted} orders: {statuses}, {taken_over} begun twice",
    )
    assert statuses == {"confirmed": wanted}
    assert charged(stack, user) == {"payments": wanted, "simulated_charges": wanted}
    wait_until(lambda: ledgers(stack, [product])[product].sold == wanted, 20)
    ledger = ledgers(stack, [product])[product]
    assert ledger.balanced and ledger.held == 0 and ledger.available == 5


def test_a_task_that_comes_again_does_nothing(stack: Stack, shop: Shop, customer: Account) -> None:
    product = shop.new_product(stock=5)["id"]
    order_id = taken(shop, customer, (product, 1))
    order = ended(shop, customer, order_id)
    told = timeline(shop, customer, order_id)
    ports = own_ports(stack, SystemClock())
    enqueuer = Enqueuer(ports.settings.task_queue_url)

    for _ in range(5):
        enqueuer.put(order_id)
    last = taken(shop, customer, (product, 1))
    ended(shop, customer, last)

    assert shop.order(customer, order_id) == order
    assert timeline(shop, customer, order_id) == told
    ports.database.dispose()


@in_full
def test_a_worker_leaves_alone_what_another_one_holds(
    stack: Stack, shop: Shop, customer: Account
) -> None:
    with away(stack, WORKER, "orders-background"):
        order_id = taken(shop, customer, (shop.new_product(stock=5)["id"], 1))
        ports = own_ports(stack, SystemClock())
        with ports.database.primary.connect() as connection:
            connection.exec_driver_sql(
                "UPDATE orders SET version = 2, lease_until = now() + interval '9 s' WHERE id = %s",
                (order_id,),
            )
        check_out(ports, order_id)
        assert shop.order(customer, order_id)["version"] == 2
        ports.database.dispose()
    assert ended(shop, customer, order_id)["status"] == "confirmed"


@dataclass(frozen=True)
class Still:
    """A clock that stands still."""

    at: datetime

    def now(self) -> datetime:
        return self.at


@in_full
def test_taking_an_order_over_is_repeated_by_the_call_whose_answer_was_lost_and_by_no_other(
    stack: Stack, shop: Shop, customer: Account
) -> None:
    with away(stack, WORKER, "orders-background"):
        order_id = taken(shop, customer, (shop.new_product(stock=5)["id"], 1))
        at = datetime.now(UTC)
        ports, another = (own_ports(stack, Still(at + timedelta(seconds=n))) for n in (1, 2))
        mine = [take_over(ports, order_id, mind_pause=True) for _ in range(2)]
        assert [order and order.version for order in mine] == [2, 3]
        assert take_over(another, order_id, mind_pause=True) is None
        for each in (ports, another):
            each.database.dispose()
    assert ended(shop, customer, order_id)["status"] == "confirmed"


@in_full
def test_orders_that_the_queue_lost_are_put_into_it_again(
    stack: Stack, shop: Shop, customer: Account
) -> None:
    """Redis comes back without its last second, or empty; and a long queue is not touched."""
    product = shop.new_product(stock=9)["id"]
    with away(stack, WORKER):
        ids = [taken(shop, customer, (product, 1)) for _ in range(4)]
        ports = own_ports(stack, SystemClock(), TASK_PATIENCE_SECONDS="0.001")
        redis = Redis.from_url(ports.settings.task_queue_url)
        wait_until(lambda: redis.llen(queue.QUEUE) == 4)
        with away(stack, "orders-background"):
            put = Enqueuer(ports.settings.task_queue_url)
            dispatch.requeue(ports, put)
            assert redis.llen(queue.QUEUE) == 4  # old, but in the queue: left alone

            redis.rpop(queue.QUEUE)  # the first two are lost, the others follow
            redis.rpop(queue.QUEUE)
            dispatch.requeue(ports, put)
            assert redis.llen(queue.QUEUE) == 4

            redis.delete(queue.QUEUE)
            dispatch.requeue(ports, put)
            assert redis.llen(queue.QUEUE) == 4
        redis.close()
        ports.database.dispose()
    for order_id in ids:
        assert ended(shop, customer, order_id)["status"] == "confirmed"
    assert shop.stock(product) == 5


@in_full
def test_workers_go_on_after_redis_was_killed(stack: Stack, shop: Shop, customer: Account) -> None:
    product = shop.new_product(stock=9)["id"]
    worker = stack.pid(WORKER)
    old = kill(stack, "redis-streams")
    # Taken while it is away: nobody who orders notices.
    during = taken(shop, customer, (product, 1))
    wait_back(stack, "redis-streams", old)
    after = taken(shop, customer, (product, 1))
    for order_id in (during, after):
        assert ended(shop, customer, order_id, 40)["status"] == "confirmed"
    assert stack.pid(WORKER) == worker


@in_full
def test_an_order_waits_for_a_catalog_and_a_cart_that_are_away(
    stack: Stack, shop: Shop, customer: Account
) -> None:
    """Nobody waits for the answer, so an outage is waited out instead of ending the order."""
    product = shop.new_product(stock=9)["id"]
    carts = [shop.new_cart((product, 1)) for _ in range(2)]
    waited = "SELECT 1 FROM saga_log WHERE order_id = %s AND step = %s AND outcome <> 'succeeded'"
    ids = {}
    for cart_id, names, step in (
        (carts[0], ("cart",), "validate"),
        (carts[1], ("catalog-1", "catalog-2"), "reserve"),
    ):
        with away(stack, *names):
            ids[step] = take(shop, customer, cart_id).json()["id"]
            wait_until(
                lambda s=step: rows(
                    stack,
                    "orders",
                    waited + " AND outcome <> 'started'",  # type: ignore[misc]
                    ids[s],
                    s,
                )
            )
            assert shop.order(customer, ids[step])["status"] == "pending"
    for order_id in ids.values():
        assert ended(shop, customer, order_id, 30)["status"] == "confirmed"
    assert shop.stock(product) == 7


@in_full
def test_a_worker_that_is_told_to_stop_ends_its_task_first(
    stack: Stack, shop: Shop, customer: Account
) -> None:
    product = shop.new_product(stock=9)["id"]
    ids = [taken(shop, customer, (product, 1)) for _ in range(6)]
    with away(stack, WORKER):
        held = "SELECT count(*) FROM orders WHERE id = ANY (%s) AND step <> 'done' AND version > 1"
        assert rows(stack, "orders", held, ids) == [(0,)]
        assert not any(psutil.pid_exists(p.pid) for p in children(stack))
    for order_id in ids:
        assert ended(shop, customer, order_id)["status"] == "confirmed"


@in_full
def test_the_children_of_a_worker_that_was_killed_end_too(stack: Stack) -> None:
    old = wait_until(lambda: len(children(stack)) >= 1 and stack.pid(WORKER))
    theirs = children(stack)
    os.kill(old, signal.SIGKILL)
    wait_back(stack, WORKER, old)
    wait_until(lambda: not any(p.is_running() for p in theirs), 10)
