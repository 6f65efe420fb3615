"""A branch that runs short asks its peers for units, with STOCK_REBALANCE=1.

The peer takes them from its stock under the id of the question and answers with the transfer. Its
event comes as well, in its own time: the units are added once, by whichever is first. Nothing is
lost with an answer.
"""

from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from catalog import transfers
from catalog.models import Product, Stock
from catalog.ports import Ports
from catalog.products import Branch
from chassis import deadline
from chassis.problems import Unavailable
from chassis.replication import messages, state
from chassis.replication.client import Refused

# A shopper waits for it, and orders for the reservation: all questions together take no longer.
SECONDS = 0.6
BATCH = 20

log = structlog.get_logger()


def fetch(ports: Ports, short: list[dict[str, Any]]) -> bool:
    """Ask peers for what is missing for a reservation; whether anything came.

    Args:
        short: lines of `InsufficientStock`.
    """
    if not (ports.settings.stock_rebalance and ports.peers):
        return False
    missing = {line["product_id"]: line["requested"] - line["available"] for line in short}
    sources = ports.database.read_primary(lambda s: _richest(s, ports.branch, list(missing)))
    came = False
    with deadline.within(min(SECONDS, deadline.remaining() / 2)):
        for product_id, quantity in missing.items():
            for peer, sku, known in sources.get(product_id, []):
                if quantity > 0 and known > 0 and deadline.remaining():
                    got = _ask(ports, peer, sku, min(quantity, known))
                    quantity -= got
                    came = came or got > 0
    return came


def level(ports: Ports) -> bool:
    """One round of a loop: for products that are sold out here, ask for half of what a peer has."""
    empty = ports.database.read_primary(lambda session: _empty(session, ports.branch))
    sources = ports.database.read_primary(lambda s: _richest(s, ports.branch, empty))
    for peer, sku, known in (found[0] for found in sources.values() if found):
        if known > 1:
            _ask(ports, peer, sku, known // 2)
    return False


def _ask(ports: Ports, peer: str, sku: str, quantity: int) -> int:
    question = messages.question(
        ports, "catalog", "stock.requested", {"sku": sku, "quantity": quantity}
    )
    try:
        transfer = messages.ask(ports.peers[peer], question, seconds=SECONDS).get("answer")
    except (Unavailable, Refused) as error:
        log.info("peer_not_asked", peer=peer, reason=str(error)[:200])
        return 0
    if not transfer:
        return 0
    at = Branch(ports.branch, ports.clock)
    came = ports.database.write(
        lambda session: transfers.credit(session, at, transfer), repeatable=True
    )
    log.info("units_came", peer=peer, sku=sku, quantity=transfer["quantity"], first=came)
    return int(transfer["quantity"])


def _richest(
    session: Session, branch: str, product_ids: list[int]
) -> dict[int, list[tuple[str, str, int]]]:
    """By product: peer, SKU and units, as they are known here, the most first."""
    rows = session.execute(
        select(Stock.product_id, Stock.branch, Product.sku, Stock.available)
        .join(Product, Product.id == Stock.product_id)
        .where(Stock.product_id.in_(product_ids), Stock.branch != branch, Stock.available > 0)
        .order_by(Stock.product_id, Stock.available.desc(), Stock.branch)
    )
    found: dict[int, list[tuple[str, str, int]]] = {}
    for product_id, peer, sku, available in rows:
        found.setdefault(product_id, []).append((peer, sku, available))
    return found


def _empty(session: Session, branch: str) -> list[int]:
    other = aliased(Stock)
    query = (
        select(Stock.product_id)
        .join(Product, Product.id == Stock.product_id)
        .where(Stock.branch == branch, Stock.available == 0, Product.active)
        .where(
            select(other.product_id)
            .where(other.product_id == Stock.product_id, other.branch != branch)
            .where(other.available > 1)
            .exists()
        )
        .order_by(Stock.product_id)
        .limit(BATCH)
    )
    if state.of_self(session.execute).rejoining:
        return []
    return list(session.scalars(query))
