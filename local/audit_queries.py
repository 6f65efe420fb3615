"""The invariants that one database can break by itself, as queries that return the broken rows.

Each returns rows of (checked, subject, detail); the first carries the number of rows looked at,
and `subject` is NULL when none is broken.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One row that breaks an invariant."""

    invariant: str
    subject: str
    detail: str

    def __str__(self) -> str:
        return f"{self.invariant}: {self.subject}: {self.detail}"


@dataclass(frozen=True)
class Query:
    """A query; without an `invariant` it only fetches what is compared between databases."""

    name: str
    invariant: str
    sql: str


def _broken(name: str, invariant: str, rows: str, broken: str, subject: str, detail: str) -> Query:
    sql = f"""
        WITH looked_at AS ({rows}), broken AS (
            SELECT {subject} AS subject, {detail} AS detail FROM looked_at WHERE {broken})
        SELECT (SELECT count(*) FROM looked_at) AS checked, broken.subject, broken.detail
        FROM (SELECT 1) AS one LEFT JOIN broken ON true
    """
    return Query(name, invariant, sql)


LEDGER = """
    SELECT s.product_id, s.branch, s.available,
        coalesce(m.total, 0) AS moved, coalesce(m.brought, 0) AS brought,
        coalesce(r.held, 0) AS held, coalesce(r.sold, 0) AS sold
    FROM stock s
    LEFT JOIN (
        SELECT product_id, branch, sum(delta) AS total,
            sum(delta) FILTER (WHERE kind IN ('supply', 'adjust', 'transfer')) AS brought
        FROM stock_movements GROUP BY product_id, branch
    ) m ON m.product_id = s.product_id AND m.branch = s.branch
    LEFT JOIN (
        SELECT l.product_id, r.branch,
            sum(l.quantity) FILTER (WHERE r.state = 'held') AS held,
            sum(l.quantity) FILTER (WHERE r.state = 'committed') AS sold
        FROM reservations r,
            jsonb_to_recordset(r.lines) AS l (product_id bigint, quantity bigint)
        GROUP BY l.product_id, r.branch
    ) r ON r.product_id = s.product_id AND r.branch = s.branch
    -- Rows of other branches are copies; the books are kept there.
    WHERE NOT s.replica
"""

CATALOG = (
    _broken(
        "never-negative",
        "stock is never negative",
        LEDGER,
        "available < 0",
        "format('product %s at %s', product_id, branch)",
        "format('%s available', available)",
    ),
    _broken(
        "ledger",
        "available equals the sum of its movements",
        LEDGER,
        "available <> moved",
        "format('product %s at %s', product_id, branch)",
        "format('%s available, movements sum to %s', available, moved)",
    ),
    _broken(
        "conservation",
        "supplied + adjusted + transferred = available + held + sold",
        LEDGER,
        "brought <> available + held + sold",
        "format('product %s at %s', product_id, branch)",
        "format('%s brought in, %s available + %s held + %s sold', brought, available, held, sold)",
    ),
    _broken(
        "reservation-moves",
        "every reservation moved what it says",
        """
        SELECT r.id, r.state, l.product_id, l.quantity,
            coalesce(sum(m.delta) FILTER (WHERE m.kind = 'reserve'), 0) AS taken,
            coalesce(sum(m.delta) FILTER (WHERE m.kind IN ('release', 'return')), 0) AS given
        FROM reservations r
        CROSS JOIN LATERAL jsonb_to_recordset(r.lines) AS l (product_id bigint, quantity bigint)
        LEFT JOIN stock_movements m ON m.reference = r.id AND m.product_id = l.product_id
        GROUP BY r.id, r.state, l.product_id, l.quantity
        """,
        "taken <> -quantity OR given <> CASE state WHEN 'released' THEN quantity ELSE 0 END",
        "format('reservation %s, product %s', id, product_id)",
        "format('%s of %s units, took %s, gave back %s', state, quantity, -taken, given)",
    ),
    Query(
        "reservations",
        "",
        """
        -- A hold is taken stock as well: the sale is recorded by an event, or by the sweep once the
        -- hold has expired.
        SELECT r.id, r.state,
            r.state = 'held' AND r.expires_at < now() - interval '60 seconds' AS overdue, (
            SELECT jsonb_object_agg(l.product_id, l.quantity)
            FROM jsonb_to_recordset(r.lines) AS l (product_id bigint, quantity bigint)) AS lines
        FROM reservations r
        """,
    ),
)

PAID = """
    SELECT o.id, o.status, o.step, o.total_cents, p.state AS paid, p.amount_cents AS amount,
        c.state AS charged, c.amount_cents AS charged_amount,
        o.status IN ('confirmed', 'preparing', 'shipped', 'delivered') AS sold
    FROM orders o
    LEFT JOIN payments p ON p.order_id = o.id
    LEFT JOIN simulated_charges c ON c.order_id = o.id
"""

ORDERS = (
    _broken(
        "one-payment",
        "every sold order is paid once, in full",
        PAID,
        "sold AND (paid IS DISTINCT FROM 'captured' OR amount <> total_cents)",
        "format('order %s', id)",
        "format('%s for %s cents, payment %s of %s', status, total_cents,"
        " coalesce(paid, 'missing'), coalesce(amount, 0))",
    ),
    _broken(
        "no-payment",
        "no money is kept for an order that ended unsold",
        PAID,
        "NOT sold AND step = 'done' AND (paid = 'captured' OR charged = 'captured')",
        "format('order %s', id)",
        "format('%s, payment %s, provider %s', status, coalesce(paid, 'none'),"
        " coalesce(charged, 'none'))",
    ),
    _broken(
        "provider",
        "the payment provider agrees",
        PAID,
        "sold AND (charged IS DISTINCT FROM 'captured' OR charged_amount <> total_cents)",
        "format('order %s', id)",
        "format('%s for %s cents, provider %s of %s', status, total_cents,"
        " coalesce(charged, 'knows nothing'), coalesce(charged_amount, 0))",
    ),
    _broken(
        "orphan-payments",
        "every payment and charge has its order",
        """
        SELECT coalesce(p.order_id, c.order_id) AS id, o.id AS order_id
        FROM payments p
        FULL JOIN simulated_charges c ON c.order_id = p.order_id
        LEFT JOIN orders o ON o.id = coalesce(p.order_id, c.order_id)
        """,
        "order_id IS NULL",
        "format('payment %s', id)",
        "'has no order'",
    ),
    _broken(
        "totals",
        "every total is the sum of its lines",
        """
        SELECT o.id, o.total_cents, (
            SELECT coalesce(sum(i.quantity * i.unit_price_cents), 0)
            FROM jsonb_to_recordset(o.items)
                AS i (quantity bigint, unit_price_cents bigint)) AS lines
        FROM orders o
        """,
        "total_cents <> lines",
        "format('order %s', id)",
        "format('total %s, lines %s', total_cents, lines)",
    ),
    _broken(
        "stuck",
        "no checkout is stuck",
        "SELECT id, status, step, retry_at, lease_until FROM orders WHERE step <> 'done'",
        "greatest(retry_at, lease_until) < now() - interval '60 seconds'",
        "format('order %s', id)",
        "format('%s since %s', step, greatest(retry_at, lease_until))",
    ),
    Query(
        "orders",
        "",
        """
        SELECT o.id, o.status, o.step, (
            SELECT jsonb_object_agg(i.product_id, i.quantity)
            FROM jsonb_to_recordset(o.items) AS i (product_id bigint, quantity bigint)) AS lines
        FROM orders o
        """,
    ),
)
