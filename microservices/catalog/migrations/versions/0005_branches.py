"""Other branches: copies of their stock, transfers, and who edited what.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

from pathlib import Path

from chassis.migrations import run_sql, run_sql_file
from chassis.replication import schema

revision = "0005"
down_revision = "0004"

SQL = Path(__file__).parent.parent / "sql"

GRANTS = """
GRANT INSERT, UPDATE ON stock_transfers TO catalog;
GRANT INSERT, DELETE ON closed_stock TO catalog;
"""


def upgrade() -> None:
    run_sql(schema.SCHEMA)
    run_sql_file(SQL / "branches_0005.sql")
    run_sql(schema.grants("catalog") + GRANTS)


def downgrade() -> None:
    raise NotImplementedError("what was added is in nobody's way")
