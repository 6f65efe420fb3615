"""The hot functions of checkout, planned once per connection.

Revision ID: 0005
Revises: 0004
"""

from __future__ import annotations

from pathlib import Path

from chassis.migrations import run_sql_file

revision = "0005"
down_revision = "0004"

SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    run_sql_file(SQL / "checkout_functions_0005.sql")


def downgrade() -> None:
    raise NotImplementedError("the functions do what they did before")
