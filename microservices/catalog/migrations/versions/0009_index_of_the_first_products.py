"""An index of the words of the first products alone: a common word is found there.

Revision ID: 0009
Revises: 0008
"""

from __future__ import annotations

from chassis.migrations import build_index

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    build_index("products_search_first", "products USING gin (search) WHERE id <= 25000")


def downgrade() -> None:
    raise NotImplementedError("the index is in nobody's way")
