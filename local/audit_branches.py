"""Reads the books of branches out of their databases, for `branch_books` to compare."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass

import psycopg2

from local import branch_books
from local.audit import audit as audit_one
from local.branch_books import Read, Rows


@dataclass(frozen=True)
class Books:
    """Where one branch's books are: libpq URIs of its databases for the role `auditor`."""

    branch: str
    catalog: str
    orders: str


def audit(
    books: Sequence[Books],
    *,
    settle_seconds: float = branch_books.SETTLE_SECONDS,
    say: Callable[[str], None] = print,
) -> int:
    """Check each branch and then all of them together; 0 if all holds, 1 if not."""
    broken = 0
    for each in books:
        say(f"branch {each.branch}")
        broken += audit_one(each.catalog, each.orders, say=lambda line: say(f"  {line}"))

    def look() -> dict[str, Read]:
        return {each.branch: read(each.catalog, each.orders) for each in books}

    broken += branch_books.audit(look, settle_seconds=settle_seconds, say=say)
    return 1 if broken else 0


def read(catalog: str, orders: str) -> Read:
    """One branch's books as they are now; takes URIs as `Books` does."""
    of_catalog = _rows(catalog, (_STOCK, _LEDGER, _TRANSFERS, _PRODUCTS))
    of_orders = _rows(orders, (_CUSTOMERS, _EPOCH, _OWN_ORDERS, _OTHER_ORDERS))
    return Read(*of_catalog, *of_orders)


def _rows(dsn: str, queries: Sequence[str]) -> list[Rows]:
    # `primary`, not `read-write`: the auditor's sessions are read-only wherever they are.
    with closing(
        psycopg2.connect(dsn, connect_timeout=5, target_session_attrs="primary")
    ) as connection:
        connection.set_session(isolation_level="REPEATABLE READ", readonly=True)
        with connection, connection.cursor() as cursor:
            found = []
            for query in queries:
                cursor.execute(query)
                found.append(cursor.fetchall())
            return found


_STOCK = """
SELECT p.sku, s.branch, s.available, s.version, s.sent, s.received
FROM stock s JOIN products p ON p.id = s.product_id
"""
_LEDGER = """
SELECT p.sku, coalesce(m.brought, 0)::bigint, s.available, coalesce(r.held, 0)::bigint,
    coalesce(r.sold, 0)::bigint
FROM stock s JOIN products p ON p.id = s.product_id
LEFT JOIN (
    SELECT product_id, sum(delta) AS brought FROM stock_movements
    WHERE kind IN ('supply', 'adjust') GROUP BY product_id) m ON m.product_id = s.product_id
LEFT JOIN (
    SELECT l.product_id, sum(l.quantity) FILTER (WHERE r.state = 'held') AS held,
        sum(l.quantity) FILTER (WHERE r.state = 'committed') AS sold
    FROM reservations r, jsonb_to_recordset(r.lines) AS l (product_id bigint, quantity bigint)
    GROUP BY l.product_id) r ON r.product_id = s.product_id
WHERE NOT s.replica
"""
_TRANSFERS = "SELECT id, sku, from_branch, to_branch, quantity, state FROM stock_transfers"
_PRODUCTS = """
SELECT p.sku, p.name, p.description, p.price_cents, p.currency, p.image_url, p.active, c.slug,
    c.name
FROM products p JOIN categories c ON c.id = p.category_id
"""
_CUSTOMERS = "SELECT email, name FROM customers"
_OWN_ORDERS = "SELECT id, status, total_cents, version FROM orders WHERE step <> 'validate'"
_EPOCH = "SELECT epoch FROM branch_state"
_OTHER_ORDERS = "SELECT branch, id, status, total_cents, version, epoch FROM branch_orders"
