"""An index of the words of the products after the first ones, for words that are less common.

Revision ID: 0011
Revises: 0010
"""

from __future__ import annotations

from chassis.migrations import build_index

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    build_index(
        "products_search_next", "products USING gin (search) WHERE id > 25000 AND id <= 250000"
    )


def downgrade() -> None:
    raise NotImplementedError("the index is in nobody's way")
