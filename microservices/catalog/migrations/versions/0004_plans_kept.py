"""The hot functions of stock, planned once per connection.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

from pathlib import Path

from chassis.migrations import run_sql_file

revision = "0004"
down_revision = "0003"

SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    run_sql_file(SQL / "stock_functions_0004.sql")


def downgrade() -> None:
    raise NotImplementedError("the functions do what they did before")
