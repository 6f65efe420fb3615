"""Accounts, orders, the saga's log, payments, idempotency keys and the outbox.

Revision ID: 0001
Revises:
"""

from __future__ import annotations

from pathlib import Path

from chassis import outbox_schema
from chassis.migrations import run_sql, run_sql_file

revision = "0001"
down_revision = None

SQL = Path(__file__).parent.parent / "sql"

# Least privilege: the service cannot change tables or rewrite the saga's log.
GRANTS = """
GRANT USAGE ON SCHEMA public TO orders, auditor;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO orders, auditor;
GRANT INSERT, UPDATE ON orders, payments, simulated_charges, users, sessions, refresh_tokens,
    outbox_cursors TO orders;
GRANT INSERT, UPDATE, DELETE ON idempotency_keys TO orders;
GRANT DELETE ON refresh_tokens, sessions TO orders;
GRANT INSERT ON saga_log TO orders;
GRANT INSERT, DELETE ON outbox TO orders;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO orders;
REVOKE SELECT ON users, refresh_tokens FROM auditor;
"""


def upgrade() -> None:
    run_sql(outbox_schema.SCHEMA)
    for name in ("accounts_0001.sql", "tables_0001.sql", "checkout_functions_0001.sql"):
        run_sql_file(SQL / name)
    run_sql(GRANTS)


def downgrade() -> None:
    raise NotImplementedError("the first revision has nothing below it")
