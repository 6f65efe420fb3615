"""`GET /api/orders/{id}/events`: an order as it happens, at any instance, again after a cut."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress

import httpx
import psutil
import pytest

from local.stack import Stack
from local.web import free_ports
from tests.async_orders.rig import (
    TAKEN_AND_BOUGHT,
    ended,
    in_full,
    steps,
    taken,
    watching,
)
from tests.contract.purchases import problem
from tests.race.rig import FULL, frozen, together, wait_ready
from tests.shop import Account, Shop, wait_until


def test_the_state_comes_first_then_each_step_then_the_end(
    stack: Stack, shop: Shop, customer: Account
) -> None:
    product = shop.new_product(stock=5, price_cents=700)["id"]
    with frozen(stack, "orders-worker"):
        order_id = taken(shop, customer, (product, 2))
        pending = shop.order(customer, order_id)
        stream = watching(stack.url, customer, order_id)
        events = stream.__enter__()
        first = [next(events), next(events)]
    rest = list(events)
    stream.__exit__(None, None, None)

    assert (first[0].name, first[0].id, first[0].data) == ("order", None, pending)
    assert steps(first) + steps(rest) == TAKEN_AND_BOUGHT
    numbers = [int(e.id) for e in [*first, *rest] if e.id]
    assert numbers == sorted(set(numbers))
    orders = [e.data for e in rest if e.name == "order"]
    assert orders[-1] == shop.order(customer, order_id)
    assert orders[-1]["status"] == "confirmed" and orders[-1]["total_cents"] == 1400
    assert (rest[-1].name, rest[-1].data) == ("end", {"id": order_id, "status": "confirmed"})


def test_an_order_that_ended_tells_all_and_ends(
    stack: Stack, shop: Shop, customer: Account
) -> None:
    product = shop.new_product(stock=5)["id"]
    order_id = taken(shop, customer, (product, 2), token="tok_declined")
    order = ended(shop, customer, order_id)
    with watching(stack.url, customer, order_id) as events:
        told = list(events)
    assert told[0].data == order and order["failure"]["status"] == 402
    assert steps(told)[-1] == ("fail", "succeeded")
    assert [e.name for e in told].count("order") == 1
    assert told[-1].data == {"id": order_id, "status": "failed"}


@in_full
def test_a_stream_goes_on_where_it_was_at_another_instance(
    stack: Stack, shop: Shop, customer: Account
) -> None:
    product = shop.new_product(stock=5)["id"]
    order_id = taken(shop, customer, (product, 1))
    ended(shop, customer, order_id)
    with watching(stack.url, customer, order_id) as events:
        all_of_it = list(events)
    middle = [e for e in all_of_it if e.name == "step"][2]

    with second_instance(stack) as other, watching(other, customer, order_id, middle.id) as events:
        rest = list(events)

    assert rest[0].name == "order" and rest[0].data == shop.order(customer, order_id)
    assert steps(rest) == TAKEN_AND_BOUGHT[3:]
    assert rest[-1].name == "end"


def test_a_client_that_saw_the_end_is_told_to_stop(
    stack: Stack, shop: Shop, customer: Account
) -> None:
    order_id = taken(shop, customer, (shop.new_product(stock=5)["id"], 1))
    ended(shop, customer, order_id)
    with watching(stack.url, customer, order_id) as events:
        last = [e.id for e in events if e.id][-1]
    headers = {**customer.headers, "Last-Event-ID": str(last)}
    answer = shop.http.get(f"/api/orders/{order_id}/events", headers=headers)
    assert (answer.status_code, answer.content) == (204, b"")


@pytest.mark.parametrize("last_seen", ["x", "-1", "1e9", "٣", "9" * 30, ""])
def test_a_last_event_id_that_is_none_begins_anew(
    stack: Stack, shop: Shop, customer: Account, last_seen: str
) -> None:
    order_id = taken(shop, customer, (shop.new_product(stock=5)["id"], 1))
    ended(shop, customer, order_id)
    headers = {**customer.headers, "Last-Event-ID": last_seen.encode()}
    answer = shop.http.get(f"/api/orders/{order_id}/events", headers=headers)
    assert answer.status_code == 200
    assert answer.text.count("event: step") == len(TAKEN_AND_BOUGHT)


def test_somebody_elses_order_is_none(shop: Shop, customer: Account) -> None:
    order_id = taken(shop, customer, (shop.new_product(stock=5)["id"], 1))
    stranger = shop.new_user()
    answer = shop.http.get(f"/api/orders/{order_id}/events", headers=stranger.headers)
    problem(answer, "order-not-found", "No such order", 404)
    assert shop.http.get(f"/api/orders/{order_id}/events").status_code == 401
    by_operator = shop.http.get(f"/api/orders/{order_id}/events", headers=shop.operator.headers)
    assert by_operator.status_code == 200


def test_more_streams_than_there_are_places_leave_threads_free_and_nobody_out(
    stack: Stack, shop: Shop, customer: Account
) -> None:
    """Sixteen threads: eight streams stay open, the others are sent what there is and end."""
    product = shop.new_product(stock=5)["id"]
    with frozen(stack, "orders-worker"):
        order_id = taken(shop, customer, (product, 1))
        with ExitStack() as streams:
            heads = [
                next(streams.enter_context(watching(stack.url, customer, order_id)))
                for _ in range(8)
            ]
            began = time.monotonic()
            with watching(stack.url, customer, order_id) as ninth:
                cut = list(ninth)
            assert time.monotonic() - began < 2
            quick = together([lambda: shop.order(customer, order_id)] * 6, seconds=5)
        assert {h.data["status"] for h in heads} == {"pending"} == {o["status"] for o in quick}
        assert [e.name for e in cut] == ["order", "step"]
        if FULL:  # The clients have gone; it takes seconds until their places are given to others.
            wait_until(lambda: stays_open(stack, customer, order_id))
    ended(shop, customer, order_id)


def stays_open(stack: Stack, user: Account, order_id: str) -> bool:
    """Whether a stream of an order to which nothing happens waits for more."""
    with watching(stack.url, user, order_id, seconds=1.0) as events:
        try:
            return list(events) == []
        except httpx.ReadTimeout:
            return True


@in_full
def test_a_stream_does_not_hold_up_an_instance_that_is_stopped(
    stack: Stack, shop: Shop, customer: Account
) -> None:
    with frozen(stack, "orders-worker"), second_instance(stack) as url:
        order_id = taken(shop, customer, (shop.new_product(stock=5)["id"], 1))
        with watching(url, customer, order_id) as events:
            next(events)
            listening = [
                c.pid
                for c in psutil.net_connections("tcp")
                if c.laddr and url.endswith(f":{c.laddr.port}") and c.status == "LISTEN"
            ]
            assert listening and listening[0]
            began = time.monotonic()
            psutil.Process(listening[0]).terminate()
            list(events)
            assert time.monotonic() - began < 3
    ended(shop, customer, order_id)


@contextmanager
def second_instance(stack: Stack) -> Iterator[str]:
    """Another instance of orders; its address."""
    import subprocess

    name, port = "orders-2", free_ports()["orders_port"]
    process = stack.processes["orders"]
    environment = dict(process.environment) | {"INSTANCE": name, "BIND": f"127.0.0.1:{port}"}
    url = f"http://127.0.0.1:{port}"
    running = subprocess.Popen(process.command, cwd=process.directory, env=environment)
    try:
        wait_ready(stack, url)
        yield url
    finally:
        running.terminate()
        running.wait(30)
        with suppress(httpx.HTTPError):
            wait_until(lambda: running.poll() is not None)
