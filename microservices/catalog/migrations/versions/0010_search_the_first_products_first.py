"""A search that ends with the first products when enough of these fit.

Revision ID: 0010
Revises: 0009
"""

from __future__ import annotations

from pathlib import Path

from chassis.migrations import run_sql_file

revision = "0010"
down_revision = "0009"

SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    run_sql_file(SQL / "search_0010.sql")


def downgrade() -> None:
    raise NotImplementedError("the function is in nobody's way")
