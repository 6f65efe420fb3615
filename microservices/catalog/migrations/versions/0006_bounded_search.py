"""A search that reads no more of a large shop than it shows, and what is off sale by itself.

Revision ID: 0006
Revises: 0005
"""

from __future__ import annotations

from pathlib import Path

from chassis.migrations import run_sql_file

revision = "0006"
down_revision = "0005"

SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    run_sql_file(SQL / "search_0006.sql")


def downgrade() -> None:
    raise NotImplementedError("what was added is in nobody's way")
