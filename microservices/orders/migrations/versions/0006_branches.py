"""Other branches: customers that all know, and copies of orders.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

from pathlib import Path

from chassis.migrations import run_sql, run_sql_file
from chassis.replication import schema

revision = "0006"
down_revision = "0005"

SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    run_sql(schema.SCHEMA)
    run_sql_file(SQL / "branches_0006.sql")
    run_sql(schema.grants("orders") + "GRANT INSERT, UPDATE ON customers, branch_orders TO orders;")


def downgrade() -> None:
    raise NotImplementedError("what was added is in nobody's way")
