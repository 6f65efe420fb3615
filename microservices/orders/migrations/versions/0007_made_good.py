"""Which peers' knowledge of an older copy of this branch is made good.

Revision ID: 0007
Revises: 0006
"""

from __future__ import annotations

from chassis.migrations import run_sql
from chassis.replication import schema

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run_sql(schema.MADE_GOOD + schema.made_good_grants("orders"))


def downgrade() -> None:
    raise NotImplementedError("what was added is in nobody's way")
