"""Which request an event comes of.

Revision ID: 0003
Revises: 0002
"""

from __future__ import annotations

from chassis import outbox_schema
from chassis.migrations import run_sql

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run_sql(outbox_schema.SCHEMA_0003)


def downgrade() -> None:
    raise NotImplementedError("what was added is in nobody's way")
