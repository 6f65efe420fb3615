"""The inbox, the relay's bell, and where each sink of the outbox was.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

from pathlib import Path

from chassis import outbox_schema
from chassis.migrations import run_sql, run_sql_file

revision = "0002"
down_revision = "0001"

SQL = Path(__file__).parent.parent / "sql"

GRANTS = """
GRANT SELECT ON ALL TABLES IN SCHEMA public TO catalog, auditor;
"""


def upgrade() -> None:
    run_sql(outbox_schema.SCHEMA_0002)
    run_sql_file(SQL / "settlement_functions_0002.sql")
    run_sql(GRANTS + outbox_schema.grants_0002("catalog"))


def downgrade() -> None:
    raise NotImplementedError("what was added is in nobody's way")
