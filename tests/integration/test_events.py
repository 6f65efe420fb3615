"""Events of the running shop: what they look like, and what a bus that is away does to shoppers."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial

import httpx
import psycopg2
import pytest

from chassis.clock import rfc3339
from chassis.events import Event
from local.stack import Stack
from tests.async_orders.rig import ended, taken
from tests.events.schemas import faults
from tests.race.rig import FULL, ask, away, figure, own_shops, rows, seconds_of, together
from tests.shop import Account, Shop, wait_until

# How long shoppers buy without the bus, how many of them, and how much in a second at the most:
# what two cores bear that run the shop and its shoppers may be less than that.
SECONDS, BUYERS, RATE = (600, 6, 50) if FULL else (1, 1, 10)


def written(stack: Stack, service: str) -> list[Event]:
    """Every event that the outbox of a service still has."""
    found = rows(stack, service, "SELECT id, type, subject, time, lamport, data FROM outbox")
    return [
        Event(event_id, f"/matriz/{service}", kind, subject, rfc3339(time), lamport, data)
        for event_id, kind, subject, time, lamport, data in found
    ]


def pending(http: httpx.Client, service: str) -> int:
    return int(http.get("/status").json()[service]["pending"]["bus"])


def test_every_event_that_was_written_is_as_its_schema_says(
    stack: Stack, shop: Shop, customer: Account
) -> None:
    product = shop.new_product(stock=5)
    order = shop.buy(customer, (product["id"], 1))
    for lines in ([(product["id"], 1)], []):
        ended(shop, customer, taken(shop, customer, *lines))
    answer = shop.http.post(f"/api/orders/{order['id']}/cancel", headers=customer.headers)
    assert answer.status_code == 200
    events = [*written(stack, "catalog"), *written(stack, "orders")]
    kinds = {event.type for event in events}
    assert kinds >= {
        *("product.updated", "stock.updated"),
        *("order.placed", "order.created", "order.status_changed", "payment.settled"),
    }
    assert [fault for event in events for fault in faults(event.document())] == []


def test_the_version_of_a_subject_rises_with_its_events(
    stack: Stack, shop: Shop, operator: Account
) -> None:
    product = shop.new_product(stock=5)
    edited = shop.http.patch(
        f"/api/products/{product['id']}",
        json={"price_cents": 990},
        headers={**operator.headers, "If-Match": f'"{product["version"]}"'},
    )
    adjusted = shop.http.post(
        f"/api/products/{product['id']}/stock-adjustments",
        json={"delta": 1, "reason": "found one"},
        headers=operator.headers,
    )
    assert (edited.status_code, adjusted.status_code) == (200, 201)
    # An edit of a product tells of its stock too, which is at the version that it was at. What only
    # other branches need to put in order is put in order by its edit.
    query = """
        SELECT type, subject, later, earlier FROM (
            SELECT type, subject, later,
                lag(later) OVER (PARTITION BY type, subject, branch ORDER BY seq) AS earlier
            FROM (
                SELECT seq, type, subject, data ->> 'branch' AS branch,
                    ARRAY[CASE WHEN type IN ('category.updated', 'customer.updated')
                            THEN (data #>> '{edit,lamport}')::bigint
                            ELSE (data ->> 'version')::bigint END,
                        coalesce((data #>> '{product,version}')::bigint, 0)] AS later
                FROM outbox) AS events) AS pairs
        WHERE later <= earlier OR later[1] IS NULL LIMIT 9
    """
    assert [rows(stack, name, query) for name in ("catalog", "orders")] == [[], []]


def test_an_edit_waits_for_the_stock_that_it_tells_of(
    stack: Stack, shop: Shop, operator: Account
) -> None:
    product = shop.new_product(stock=5)
    change = "UPDATE stock SET version = version + 1 WHERE product_id = %s RETURNING version"
    waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE %s"
    with (
        closing(psycopg2.connect(stack.dsn("catalog", "catalog"))) as connection,
        ThreadPoolExecutor() as pool,
    ):
        ((version,),) = ask(connection, change, product["id"])
        edit = pool.submit(
            shop.http.patch,
            f"/api/products/{product['id']}",
            json={"price_cents": 990},
            headers={**operator.headers, "If-Match": f'"{product["version"]}"'},
        )
        wait_until(lambda: rows(stack, "catalog", waiting, "%FROM stock%"), 3)
        connection.commit()
        assert edit.result(10).status_code == 200
    last = """
        SELECT data ->> 'version' FROM outbox
        WHERE type = 'stock.updated' AND subject = %s ORDER BY seq DESC LIMIT 1
    """
    assert rows(stack, "catalog", last, product["sku"]) == [(str(version),)]


def buy_for(shop: Shop, user: Account, product: int, seconds: float, rate: float) -> list[str]:
    """One shopper who buys again and again, `rate` times a second at the most; the orders."""
    bought: list[str] = []
    pause = threading.Event()
    began = time.monotonic()
    while (now := time.monotonic() - began) < seconds:
        order = shop.buy(user, (product, 1))
        assert order["status"] == "confirmed"
        bought.append(order["id"])
        pause.wait(max(0.0, now + 1 / rate - (time.monotonic() - began)))
    return bought


@pytest.mark.promise(17, minutes=16)
@pytest.mark.timeout(1800)
def test_without_the_bus_no_checkout_fails_and_the_backlog_drains(stack: Stack, shop: Shop) -> None:
    product = shop.new_product(stock=SECONDS * RATE + BUYERS)["id"]
    users = [shop.new_user() for _ in range(BUYERS)]
    with away(stack, "redis-streams"), own_shops(stack, BUYERS) as shops:
        share = {"product": product, "seconds": SECONDS, "rate": RATE / BUYERS}
        buying = [
            partial(buy_for, mine, user, **share) for mine, user in zip(shops, users, strict=True)
        ]
        ids = [each for bought in together(buying, SECONDS + 60) for each in bought]
        wait_until(lambda: pending(shop.http, "orders") >= 2 * len(ids), 60)
        most = pending(shop.http, "orders")
    drained, _ = seconds_of(lambda: wait_until(lambda: pending(shop.http, "orders") == 0, 300))
    sold = """
        SELECT count(*) FROM reservations WHERE id = ANY (%s) AND state = 'committed'
    """
    settled, _ = seconds_of(
        lambda: wait_until(lambda: rows(stack, "catalog", sold, ids) == [(len(ids),)], 300)
    )
    figure(
        "promise 17",
        f"{len(ids)} orders in {SECONDS} s without the bus, none failed; {most} events waited, "
        f"drained in {drained:.1f} s, the last sold {settled:.1f} s later",
    )
