"""Orders that are taken first and checked out by a worker; the mails that orders are told of by.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

from pathlib import Path

from chassis.migrations import run_sql_file

revision = "0003"
down_revision = "0002"

SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    run_sql_file(SQL / "async_orders_0003.sql")
    run_sql_file(SQL / "mails_0003.sql")


def downgrade() -> None:
    raise NotImplementedError("what was taken asynchronously could not be told from the rest")
