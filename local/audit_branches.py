"""Proves the books between branches: nothing is made or lost on the way, and all see the same.

Each branch's databases are read in snapshots of their own, of slightly different moments. What
breaks an invariant counts only if it is still so after a while; while branches are cut off from
each other their views do differ, and the audit says so.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg2

from local.audit import Finding
from local.audit import audit as audit_one

SETTLE_SECONDS = 60.0
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Books:
    """Where one branch's books are: libpq URIs of its databases for the role `auditor`."""

    branch: str
    catalog: str
    orders: str


@dataclass(frozen=True)
class Read:
    """What was read of one branch."""

    stock: Rows
    ledger: Rows
    transfers: Rows
    products: Rows
    customers: Rows
    own_orders: Rows
    other_orders: Rows


def audit(
    books: Sequence[Books],
    *,
    settle_seconds: float = SETTLE_SECONDS,
    say: Callable[[str], None] = print,
) -> int:
    """Check each branch and then all of them together; 0 if all holds, 1 if not."""
    broken = 0
    for each in books:
        say(f"branch {each.branch}")
        broken += audit_one(each.catalog, each.orders, say=lambda line: say(f"  {line}"))
    say("between branches")
    limit = time.monotonic() + settle_seconds
    findings, checked = look(books)
    while findings and time.monotonic() < limit:
        time.sleep(0.5)
        again, checked = look(books)
        findings &= again
    names = {finding.invariant for finding in findings}
    for invariant, count in checked.items():
        say(f"  {'BROKEN' if invariant in names else 'holds '}  {invariant} ({count} checked)")
    for finding in sorted(findings, key=str)[:50]:
        say(f"          {finding}")
    say(f"audit: {len(findings)} rows differ" if findings else "audit: all hold between branches")
    return 1 if broken or findings else 0


def look(books: Sequence[Books]) -> tuple[set[Finding], dict[str, int]]:
    """Read every branch once and check everything."""
    read = {each.branch: _read(each) for each in books}
    found: set[Finding] = set()
    checked: dict[str, int] = {}
    for invariant, check in CHECKS.items():
        broken, count = check(read)
        checked[invariant] = count
        found |= {Finding(invariant, subject, detail) for subject, detail in broken}
    return found, checked


Broken = tuple[list[tuple[str, str]], int]


def _units_are_conserved(read: dict[str, Read]) -> Broken:
    """By SKU over all branches: supplied + adjusted = available + held + sold + in transit."""
    brought: dict[str, int] = defaultdict(int)
    kept: dict[str, int] = defaultdict(int)
    for each in read.values():
        for sku, came, available, held, sold in each.ledger:
            brought[sku] += came
            kept[sku] += available + held + sold
    for sku, quantity in _in_transit(read).values():
        kept[sku] += quantity
    return [
        (f"product {sku}", f"{brought[sku]} brought in, {kept[sku]} accounted for")
        for sku in brought
        if brought[sku] != kept[sku]
    ], len(brought)


def _in_transit(read: dict[str, Read]) -> dict[str, tuple[str, int]]:
    """Transfers whose other end has not got them: id to SKU and units."""
    got = {(name, row[0]) for name, each in read.items() for row in each.transfers}
    return {
        transfer_id: (sku, quantity)
        for name, each in read.items()
        for transfer_id, sku, sender, to, quantity, _ in each.transfers
        if sender == name and (to, transfer_id) not in got
    }


def _both_ends_agree(read: dict[str, Read]) -> Broken:
    ends: dict[str, dict[str, tuple[Any, ...]]] = defaultdict(dict)
    for name, each in read.items():
        for row in each.transfers:
            ends[row[0]][name] = row
    broken = []
    for transfer_id, known in ends.items():
        _, _, sender, to, *_ = next(iter(known.values()))
        if sender not in known and sender in read:
            broken.append((f"transfer {transfer_id}", f"{to} received what {sender} never sent"))
        elif len({row[1:5] for row in known.values()}) > 1:
            broken.append((f"transfer {transfer_id}", f"the ends differ: {known}"))
        elif to in known and sender in known and known[sender][5] != "received":
            broken.append((f"transfer {transfer_id}", f"{sender} does not know that it arrived"))
    return broken, len(ends)


def _stock_is_seen_as_it_is(read: dict[str, Read]) -> Broken:
    truth = {row[:2]: row for name, each in read.items() for row in each.stock if row[1] == name}
    broken, count = [], 0
    for name, each in read.items():
        seen = {row[:2]: row for row in each.stock}
        count += len(truth)
        broken += [
            (f"stock of {key[0]} at {key[1]}", f"is {row[2:]}, {name} sees {seen.get(key, ())[2:]}")
            for key, row in truth.items()
            if seen.get(key) != row
        ]
    return broken, count


def _same_everywhere(which: str) -> Callable[[dict[str, Read]], Broken]:
    def check(read: dict[str, Read]) -> Broken:
        (first, reference), *others = [(name, getattr(r, which)) for name, r in read.items()]
        broken = [
            (f"{which[:-1]} {row[0]}", f"{name} and {first} differ")
            for name, rows in others
            for row in set(rows) ^ set(reference)
        ]
        return broken, len(reference) * len(read)

    return check


def _orders_are_seen_as_they_are(read: dict[str, Read]) -> Broken:
    broken, count = [], 0
    for name, each in read.items():
        for other, view in read.items():
            if other == name:
                continue
            mine, seen = set(each.own_orders), {r[1:] for r in view.other_orders if r[0] == name}
            count += len(mine)
            broken += [(f"order {row[0]} of {name}", f"{other} differs") for row in mine ^ seen]
    return broken, count


CHECKS: dict[str, Callable[[dict[str, Read]], Broken]] = {
    "over all branches: supplied + adjusted = available + held + sold + in transit": (
        _units_are_conserved
    ),
    "every transfer left once and arrived once": _both_ends_agree,
    "every branch sees the stock of the others as it is": _stock_is_seen_as_it_is,
    "products are the same everywhere": _same_everywhere("products"),
    "customers are the same everywhere": _same_everywhere("customers"),
    "every branch sees the orders of the others as they are": _orders_are_seen_as_they_are,
}


def _read(books: Books) -> Read:
    catalog = _rows(books.catalog, (_STOCK, _LEDGER, _TRANSFERS, _PRODUCTS))
    orders = _rows(books.orders, (_CUSTOMERS, _OWN_ORDERS, _OTHER_ORDERS))
    return Read(*catalog, *orders)


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
_OTHER_ORDERS = "SELECT branch, id, status, total_cents, version FROM branch_orders"
