"""A search that looks at the products in three parts, and tells what they are sorted by.

Revision ID: 0012
Revises: 0011
"""

from __future__ import annotations

from pathlib import Path

from chassis.migrations import run_sql_file

revision = "0012"
down_revision = "0011"

SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    run_sql_file(SQL / "search_0012.sql")


def downgrade() -> None:
    raise NotImplementedError("the function is in nobody's way")
