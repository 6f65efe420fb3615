"""Removes the trace of the ready check's purchase; only the owner of the tables may."""

from __future__ import annotations

from chassis.postgres import connector

PROBE_EMAIL = "sonda@feira.local"

FORGET = """
WITH gone AS (
    DELETE FROM orders WHERE step = 'done' AND status IN ('cancelled', 'failed')
        AND user_id = (SELECT id FROM users WHERE email = %(email)s)
    RETURNING id
), log AS (
    DELETE FROM saga_log WHERE order_id IN (SELECT id FROM gone)
), keys AS (
    DELETE FROM idempotency_keys WHERE order_id IN (SELECT id FROM gone)
), paid AS (
    DELETE FROM payments WHERE order_id IN (SELECT id FROM gone)
), charged AS (
    DELETE FROM simulated_charges WHERE order_id IN (SELECT id FROM gone)
)
SELECT count(*) FROM gone
"""


def forget(dsn: str) -> int:
    """Delete the probe account's ended orders; how many there were."""
    connection = connector(dsn, "read-write", "forget-probe")()
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(FORGET, {"email": PROBE_EMAIL})
            row = cursor.fetchone()
            return int(row[0]) if row else 0
    finally:
        connection.close()
