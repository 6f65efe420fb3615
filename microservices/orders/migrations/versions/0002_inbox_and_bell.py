"""The inbox, the relay's bell, and where each sink of the outbox was.

Revision ID: 0002
Revises: 0001
"""

from __future__ import annotations

from chassis import outbox_schema
from chassis.migrations import run_sql

revision = "0002"
down_revision = "0001"

GRANTS = """
GRANT SELECT ON ALL TABLES IN SCHEMA public TO orders, auditor;
"""


def upgrade() -> None:
    run_sql(outbox_schema.SCHEMA_0002)
    run_sql(GRANTS + outbox_schema.grants_0002("orders"))


def downgrade() -> None:
    raise NotImplementedError("what was added is in nobody's way")
