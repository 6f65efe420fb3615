"""Proves the invariants of stock and payment on the running system, naming what breaks one.

Each database is read in one snapshot, as a role that may only read. The two snapshots are not of
the same moment, so what only shows between them (an order confirmed just now, whose reservation is
committed by an event a little later) counts only if it is still so after a while.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import psycopg2
from psycopg2.extras import RealDictCursor

from local.audit_queries import CATALOG, ORDERS, Finding, Query

SETTLE_SECONDS = 15.0
SOLD = {"confirmed", "preparing", "shipped", "delivered"}


@dataclass(frozen=True)
class Snapshot:
    """What one look at both databases found."""

    findings: frozenset[Finding]
    checked: dict[str, int]


def audit(
    catalog_dsn: str,
    orders_dsn: str,
    *,
    settle_seconds: float = SETTLE_SECONDS,
    say: Callable[[str], None] = print,
) -> int:
    """Check every invariant; 0 if all hold, 1 if not.

    Args:
        catalog_dsn, orders_dsn: of the role `auditor` on each primary.
        settle_seconds: how long something that is under way may take.
        say: takes the report, line by line.
    """
    limit = time.monotonic() + settle_seconds
    snapshot = look(catalog_dsn, orders_dsn)
    lasting = snapshot.findings
    while lasting and time.monotonic() < limit:
        time.sleep(0.5)
        snapshot = look(catalog_dsn, orders_dsn)
        lasting &= snapshot.findings
    broken = {finding.invariant for finding in lasting}
    for invariant, count in snapshot.checked.items():
        say(f"{'BROKEN' if invariant in broken else 'holds '}  {invariant} ({count} checked)")
    for finding in sorted(lasting, key=str):
        say(f"        {finding}")
    say(f"audit: {len(lasting)} rows break an invariant" if lasting else "audit: all hold")
    return 1 if lasting else 0


def look(catalog_dsn: str, orders_dsn: str) -> Snapshot:
    """Read both databases once and check everything."""
    orders = _read(orders_dsn, ORDERS)
    catalog = _read(catalog_dsn, CATALOG)
    findings: set[Finding] = set()
    checked: dict[str, int] = {}
    for query, rows in (catalog | orders).items():
        if query.invariant:
            checked[query.invariant] = rows[0]["checked"] if rows else 0
            findings.update(
                Finding(query.invariant, row["subject"], row["detail"])
                for row in rows
                if row["subject"]
            )
    by_order = _rows(orders, "orders")
    by_reservation = _rows(catalog, "reservations")
    for invariant, check in BETWEEN.items():
        found = list(check(by_order, by_reservation))
        checked[invariant] = len(by_order) + len(by_reservation)
        findings.update(Finding(invariant, subject, detail) for subject, detail in found)
    return Snapshot(frozenset(findings), checked)


def _read(dsn: str, queries: Iterable[Query]) -> dict[Query, list[dict[str, Any]]]:
    # `primary`, not `read-write`: the auditor's sessions are read-only wherever they are.
    connection = psycopg2.connect(
        dsn, cursor_factory=RealDictCursor, connect_timeout=5, target_session_attrs="primary"
    )
    try:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        answers = {}
        with connection, connection.cursor() as cursor:
            for query in queries:
                cursor.execute(query.sql)
                answers[query] = [dict(row) for row in cursor.fetchall()]
        return answers
    finally:
        connection.close()


def _rows(answers: dict[Query, list[dict[str, Any]]], name: str) -> dict[str, dict[str, Any]]:
    rows = next(rows for query, rows in answers.items() if query.name == name)
    return {row["id"]: row for row in rows}


Rows = dict[str, dict[str, Any]]
Broken = Iterable[tuple[str, str]]


def _sold_orders_have_their_stock(orders: Rows, reservations: Rows) -> Broken:
    for order_id, order in orders.items():
        if order["status"] not in SOLD:
            continue
        reservation = reservations.get(order_id)
        if reservation is None:
            yield f"order {order_id}", f"is {order['status']} without a reservation"
        elif reservation["state"] == "released" or reservation["overdue"]:
            yield f"order {order_id}", f"is {order['status']}, its stock {reservation['state']}"
        elif reservation["lines"] != order["lines"]:
            yield f"order {order_id}", f"sold {order['lines']}, took {reservation['lines']}"


def _stock_is_taken_for_live_orders(orders: Rows, reservations: Rows) -> Broken:
    for reservation_id, reservation in reservations.items():
        if reservation["state"] == "released":
            continue
        order = orders.get(reservation_id)
        if order is None:
            yield f"reservation {reservation_id}", f"is {reservation['state']} for no order"
        elif order["step"] == "done" and order["status"] not in SOLD:
            yield (
                f"reservation {reservation_id}",
                f"is {reservation['state']} for an order that is {order['status']}",
            )


BETWEEN: dict[str, Callable[[Rows, Rows], Broken]] = {
    "every sold order took its stock": _sold_orders_have_their_stock,
    "stock is taken for live orders only": _stock_is_taken_for_live_orders,
}
