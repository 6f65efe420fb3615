"""Which request an event comes of, and an order: what goes on with it later says so too.

Revision ID: 0004
Revises: 0003
"""

from __future__ import annotations

from chassis import correlation, outbox_schema
from chassis.migrations import run_sql

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run_sql(outbox_schema.SCHEMA_0003)
    run_sql(f"ALTER TABLE orders ADD COLUMN {correlation.COLUMN};")


def downgrade() -> None:
    raise NotImplementedError("what was added is in nobody's way")
