"""Reservations that lock a row of stock as late as they can.

Revision ID: 0008
Revises: 0007
"""

from __future__ import annotations

from pathlib import Path

from chassis.migrations import run_sql_file

revision = "0008"
down_revision = "0007"

SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    run_sql_file(SQL / "stock_functions_0008.sql")


def downgrade() -> None:
    raise NotImplementedError("the functions do what they did before")
