"""After PostgreSQL was restarted, no shopper or operator pays for a connection that is dead."""

from __future__ import annotations

import uuid
from functools import partial
from typing import Any

import httpx

from chassis.db import Database
from local.stack import Stack
from tests.race.rig import restart_postgres, together, wait_ready
from tests.shop import Account, Shop


def test_the_first_write_after_a_restart_of_the_primary_succeeds(
    stack: Stack, shop: Shop, customer: Account
) -> None:
    product = shop.new_product(stock=100)["id"]
    catalogs = [stack.services.url(name) for name in ("catalog-1", "catalog-2")]

    def add(base: str) -> int:
        body = {
            "sku": f"T-{uuid.uuid4().hex[:16].upper()}",
            "name": "Produto de teste",
            "category_id": 1,
            "price_cents": 100,
        }
        headers = shop.operator.headers
        answer = httpx.post(f"{base}/api/products", json=body, headers=headers, timeout=20)
        return answer.status_code

    def buy() -> int:
        return shop.checkout(customer, shop.new_cart((product, 1))).status_code

    # Several at once, so that every pool holds several connections that the restart kills.
    assert set(together([partial(add, base) for base in catalogs * 4])) == {201}
    assert set(together([buy] * 6)) == {201}
    restart_postgres(stack, stack.cluster.primary())
    # Ready says so over a connection of its own; the pools still hold the dead ones.
    for name in ("catalog-1", "orders"):
        wait_ready(stack, stack.services.url(name))

    assert [add(base) for base in catalogs] == [201, 201]
    assert buy() == 201


def test_a_pool_drops_what_it_has_to_a_host_that_fell_silent(stack: Stack) -> None:
    database = Database(
        "catalog",
        stack.dsn("catalog", "catalog"),
        pool_size=2,
        wait_seconds=5,
        application_name="stale-tests",
    )

    def server_process() -> tuple[int, Any]:
        with database.primary.connect() as connection:
            found = connection.exec_driver_sql("SELECT pg_backend_pid()").scalar_one()
            return int(found), connection.connection.dbapi_connection

    try:
        first, pooled = server_process()
        assert server_process()[0] == first
        pooled.host.fell_silent()
        second, _ = server_process()
        assert second != first
        # The one that was opened since is as good as any.
        assert server_process()[0] == second
    finally:
        database.dispose()
