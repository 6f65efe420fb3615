"""Products, stock, reservations and the outbox.

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

# Least privilege: the service cannot change tables, rewrite movements or delete reservations.
GRANTS = """
GRANT USAGE ON SCHEMA public TO catalog, auditor;
GRANT SELECT ON ALL TABLES IN SCHEMA public TO catalog, auditor;
GRANT INSERT, UPDATE ON categories, products, stock, reservations, outbox_cursors TO catalog;
GRANT INSERT ON stock_movements TO catalog;
GRANT INSERT, DELETE ON outbox TO catalog;
GRANT USAGE ON ALL SEQUENCES IN SCHEMA public TO catalog;
"""


def upgrade() -> None:
    run_sql(outbox_schema.SCHEMA)
    run_sql_file(SQL / "tables_0001.sql")
    run_sql_file(SQL / "stock_functions_0001.sql")
    run_sql(GRANTS)


def downgrade() -> None:
    raise NotImplementedError("the first revision has nothing below it")
