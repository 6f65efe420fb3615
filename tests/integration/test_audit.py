"""`make audit`: it holds on a shop at work, and names each kind of break that is planted."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any

import psycopg2
import pytest

from local.audit import audit
from local.settings import REPOSITORY
from local.stack import Stack
from tests.shop import Account, Shop, wait_until


def run_audit(stack: Stack, settle_seconds: float) -> tuple[int, list[str]]:
    """The exit code and the report of an audit."""
    lines: list[str] = []
    code = audit(
        stack.dsn("auditor", "catalog"),
        stack.dsn("auditor", "orders"),
        settle_seconds=settle_seconds,
        say=lines.append,
    )
    return code, lines


@contextmanager
def planted(stack: Stack, database: str, break_it: str, mend_it: str) -> Iterator[None]:
    """Rows changed behind the services' back for a while, constraints and all."""
    connection = psycopg2.connect(stack.dsn(f"{database}_owner", database))
    connection.autocommit = True
    try:
        with connection.cursor() as cursor:
            cursor.execute(break_it)
            assert cursor.rowcount != 0, "nothing was broken"
            try:
                yield
            finally:
                cursor.execute(mend_it)
    finally:
        connection.close()


@pytest.fixture
def sold(shop: Shop, customer: Account) -> dict[str, Any]:
    """A confirmed order of two units, with its product; settled."""
    product = shop.new_product(stock=10)
    order = shop.buy(customer, (product["id"], 2))
    wait_until(lambda: reservation_state(shop.stack, order["id"]) == "committed")
    return {"order": order["id"], "product": product["id"]}


def reservation_state(stack: Stack, order_id: str) -> str | None:
    """What the catalog's table says of a reservation."""
    connection = psycopg2.connect(stack.dsn("catalog_owner", "catalog"))
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute("SELECT state FROM reservations WHERE id = %s", (order_id,))
            row = cursor.fetchone()
            return row[0] if row else None
    finally:
        connection.close()


def test_audit_holds_after_purchases_refusals_and_cancellations(
    stack: Stack, shop: Shop, customer: Account
) -> None:
    product = shop.new_product(stock=10)["id"]
    kept = shop.buy(customer, (product, 2))
    cancelled = shop.buy(customer, (product, 3))
    path = f"/api/orders/{cancelled['id']}/cancel"
    assert shop.http.post(path, headers=customer.headers).json()["status"] == "cancelled"
    assert shop.checkout(customer, shop.new_cart((product, 1)), token="tok_declined").is_error

    code, lines = run_audit(stack, settle_seconds=20)

    assert code == 0, "\n".join(lines)
    assert lines[-1] == "audit: all hold"
    assert len(lines) == 13
    assert all(line.startswith("holds ") for line in lines[:-1])
    assert kept["status"] == "confirmed"


BREAKS: dict[str, Callable[[dict[str, Any]], tuple[str, str, str, str]]] = {
    "available equals the sum of its movements": lambda sold: (
        "catalog",
        f"UPDATE stock SET available = available + 1 WHERE product_id = {sold['product']}",
        f"UPDATE stock SET available = available - 1 WHERE product_id = {sold['product']}",
        f"product {sold['product']} at matriz: 9 available, movements sum to 8",
    ),
    "supplied + adjusted + transferred = available + held + sold": lambda sold: (
        "catalog",
        "INSERT INTO stock_movements (product_id, branch, delta, kind, reference, at)"
        f" VALUES ({sold['product']}, 'matriz', 5, 'adjust', 'planted', now())",
        "DELETE FROM stock_movements WHERE reference = 'planted'",
        f"product {sold['product']} at matriz: 15 brought in, 8 available + 0 held + 2 sold",
    ),
    "stock is never negative": lambda sold: (
        "catalog",
        "ALTER TABLE stock DROP CONSTRAINT stock_not_negative;"
        f"UPDATE stock SET available = -1 WHERE product_id = {sold['product']}",
        f"UPDATE stock SET available = 8 WHERE product_id = {sold['product']};"
        "ALTER TABLE stock ADD CONSTRAINT stock_not_negative CHECK (available >= 0)",
        f"product {sold['product']} at matriz: -1 available",
    ),
    "every reservation moved what it says": lambda sold: (
        "catalog",
        f"UPDATE reservations SET state = 'released' WHERE id = '{sold['order']}'",
        f"UPDATE reservations SET state = 'committed' WHERE id = '{sold['order']}'",
        f"reservation {sold['order']}, product {sold['product']}:"
        " released of 2 units, took 2, gave back 0",
    ),
    "every sold order is paid once, in full": lambda sold: (
        "orders",
        f"UPDATE payments SET state = 'refunded' WHERE order_id = '{sold['order']}'",
        f"UPDATE payments SET state = 'captured' WHERE order_id = '{sold['order']}'",
        f"order {sold['order']}: confirmed for 2000 cents, payment refunded of 2000",
    ),
    "no money is kept for an order that ended unsold": lambda sold: (
        "orders",
        f"UPDATE orders SET status = 'failed' WHERE id = '{sold['order']}'",
        f"UPDATE orders SET status = 'confirmed' WHERE id = '{sold['order']}'",
        f"order {sold['order']}: failed, payment captured, provider captured",
    ),
    "the payment provider agrees": lambda sold: (
        "orders",
        f"UPDATE simulated_charges SET amount_cents = 1 WHERE order_id = '{sold['order']}'",
        f"UPDATE simulated_charges SET amount_cents = 2000 WHERE order_id = '{sold['order']}'",
        f"order {sold['order']}: confirmed for 2000 cents, provider captured of 1",
    ),
    "every payment and charge has its order": lambda sold: (
        "orders",
        "INSERT INTO payments (order_id, amount_cents, currency, state, at)"
        " VALUES ('planted', 1, 'BRL', 'captured', now())",
        "DELETE FROM payments WHERE order_id = 'planted'",
        "payment planted: has no order",
    ),
    "every total is the sum of its lines": lambda sold: (
        "orders",
        f"UPDATE orders SET total_cents = 1999 WHERE id = '{sold['order']}'",
        f"UPDATE orders SET total_cents = 2000 WHERE id = '{sold['order']}'",
        f"order {sold['order']}: total 1999, lines 2000",
    ),
    "every sold order took its stock": lambda sold: (
        "catalog",
        f"UPDATE reservations SET id = 'planted' WHERE id = '{sold['order']}'",
        f"UPDATE reservations SET id = '{sold['order']}' WHERE id = 'planted'",
        f"order {sold['order']}: is confirmed without a reservation",
    ),
    "stock is taken for live orders only": lambda sold: (
        "catalog",
        "INSERT INTO reservations (id, branch, state, lines, created_at, expires_at)"
        " VALUES ('planted', 'matriz', 'committed', '[]', now(), now())",
        "DELETE FROM reservations WHERE id = 'planted'",
        "reservation planted: is committed for no order",
    ),
    "no checkout is stuck": lambda sold: (
        "orders",
        # A version below every fence and a lease that lapsed long ago, held for ever by nobody:
        # `retry_at` in the past makes it due, `lease_until` keeps the recovery away for a moment.
        "INSERT INTO orders (id, user_id, status, step, cart_id, cart_version, items, total_cents,"
        " currency, payment, version, created_at, updated_at, lease_until, retry_at)"
        " SELECT 'planted', 'nobody', 'pending', 'compensate', 'planted', 1, '[]', 0, 'BRL',"
        " '{}', 1, now(), now(), now() - interval '2 minutes', now() - interval '2 minutes';",
        "DELETE FROM orders WHERE id = 'planted'; DELETE FROM saga_log WHERE order_id = 'planted';"
        " DELETE FROM simulated_charges WHERE order_id = 'planted'",
        "order planted: compensate since",
    ),
}


@pytest.mark.parametrize("invariant", BREAKS)
def test_audit_names_the_row_that_breaks(
    stack: Stack, sold: dict[str, Any], invariant: str
) -> None:
    database, break_it, mend_it, named = BREAKS[invariant](sold)
    mender = paused_recovery(stack) if "stuck" in invariant else nullcontext()
    with mender, planted(stack, database, break_it, mend_it):
        code, lines = run_audit(stack, settle_seconds=0)
    assert code == 1
    assert any(line.startswith(f"BROKEN  {invariant} (") for line in lines), lines
    assert any(line.startswith(f"        {invariant}: {named}") for line in lines), lines
    assert lines[-1].endswith("rows break an invariant")


@contextmanager
def paused_recovery(stack: Stack) -> Iterator[None]:
    """Nothing mends what is planted while the audit looks."""
    name = "orders-background"
    stack.supervisor.stop_processes([name], lambda: True)
    try:
        yield
    finally:
        stack.supervisor.start_process(name)


def test_the_command_ends_with_0(stack: Stack) -> None:
    environment = {"FEIRA_HOME": str(stack.settings.feira_home), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [sys.executable, "-m", "local", "audit"],
        cwd=REPOSITORY,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "audit: all hold")
