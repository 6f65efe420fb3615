"""The end of a branch: its stock goes to a peer."""

from __future__ import annotations

from functools import partial

from sqlalchemy import select

from catalog import transfers
from catalog.models import Product, Stock
from catalog.ports import Ports
from catalog.products import Branch
from catalog.transfers import Wanted
from chassis.ids import new_id


def retire(ports: Ports, to: str) -> int:
    """Send every unit of this branch that nobody holds to a peer; how many that were."""
    at = Branch(ports.branch, ports.clock)
    rows = ports.database.read_primary(
        lambda session: session.execute(
            select(Product.sku, Stock.available)
            .join(Product, Product.id == Stock.product_id)
            .where(Stock.branch == ports.branch, Stock.available > 0)
            .order_by(Stock.product_id)
        ).all()
    )
    for sku, available in rows:
        wanted = Wanted(new_id(), sku, available, to)
        ports.database.write(partial(transfers.send, branch=at, wanted=wanted), repeatable=True)
    return sum(row.available for row in rows)
