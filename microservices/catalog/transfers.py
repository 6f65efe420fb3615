"""Stock transfers: units go from one branch to another exactly once.

The sender takes them from its stock and writes the event in one transaction; from then on they are
in transit. The receiver adds them once per transfer id, in the transaction that takes note of the
transfer, and says so with an event of its own, upon which the sender knows them received. Whichever
end dies when, the event comes again and the id decides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from catalog.models import Product, Stock, StockTransfer
from catalog.problems import InsufficientStock, ProductNotFound, TransferMismatch
from catalog.products import Branch, find, movement, product_document, stock_event
from chassis import outbox
from chassis.clock import rfc3339
from chassis.outbox import NewEvent
from chassis.replication import state
from chassis.replication.door import CannotTake

TYPE = "stock.transferred"


@dataclass(frozen=True)
class Wanted:
    """So many units of a product, to another branch, under an id that makes it once."""

    id: str
    sku: str
    quantity: int
    to: str


def transfer_document(transfer: StockTransfer) -> dict[str, Any]:
    """The transfer as the contract shows it."""
    return {
        "id": transfer.id,
        "sku": transfer.sku,
        "from": transfer.from_branch,
        "to": transfer.to_branch,
        "quantity": transfer.quantity,
        "state": transfer.state,
        "at": rfc3339(transfer.at),
    }


def send(session: Session, branch: Branch, wanted: Wanted) -> StockTransfer:
    """Take units from this branch's stock and send them on their way; the same id again: the same.

    Raises:
        ProductNotFound: there is no such product.
        InsufficientStock: fewer units are there; nothing was sent.
        TransferMismatch: the id is another transfer's.
    """
    stock = _lock(session, branch, wanted.sku)
    existing = session.get(StockTransfer, wanted.id)
    if existing is not None:
        if not _same(existing, wanted, branch.name):
            raise TransferMismatch(f"Transfer {wanted.id} is of other units.")
        return existing
    if stock.available < wanted.quantity:
        line = {"product_id": stock.product_id, "requested": wanted.quantity}
        raise InsufficientStock([line | {"available": stock.available}])
    stock.available -= wanted.quantity
    stock.sent += wanted.quantity
    stock.version += 1
    transfer = StockTransfer(
        id=wanted.id,
        sku=wanted.sku,
        from_branch=branch.name,
        to_branch=wanted.to,
        quantity=wanted.quantity,
        state="sent",
        at=branch.clock.now(),
    )
    session.add(transfer)
    session.add(movement(stock, branch, -wanted.quantity, "transfer", wanted.id))
    _tell(session, branch, stock, transfer)
    return transfer


def credit(session: Session, branch: Branch, data: dict[str, Any]) -> bool:
    """Add the units of a transfer to this branch's stock, once; whether this was the time.

    The product has to be there.

    Raises:
        CannotTake: the id is another transfer's.
    """
    stock = _lock(session, branch, data["sku"])
    values = {
        "id": data["id"],
        "sku": data["sku"],
        "from_branch": data["from"],
        "to_branch": data["to"],
        "quantity": data["quantity"],
        "state": "received",
        "at": branch.clock.now(),
    }
    taken = insert(StockTransfer).values(values).on_conflict_do_nothing()
    if session.execute(taken.returning(StockTransfer.id)).one_or_none() is None:
        known = session.get_one(StockTransfer, data["id"])
        if (known.sku, known.from_branch, known.quantity) != (
            data["sku"],
            data["from"],
            data["quantity"],
        ):
            raise CannotTake(f"transfer {data['id']} is of other units")
        return False
    stock.available += data["quantity"]
    stock.received += data["quantity"]
    stock.version += 1
    session.add(movement(stock, branch, data["quantity"], "transfer", data["id"]))
    _tell(session, branch, stock, session.get_one(StockTransfer, data["id"]))
    return True


def received(session: Session, sender: str, data: dict[str, Any]) -> bool:
    """Note that the other end has the units; whether that was news.

    One that was sent before this branch was set back is learnt when it rejoins.

    Raises:
        CannotTake: no such transfer to that branch is known here.
    """
    transfer = session.get(StockTransfer, data["id"], with_for_update=True)
    if transfer is None and state.of_self(session.execute).rejoining:
        return False
    if transfer is None or transfer.to_branch != sender:
        raise CannotTake(f"no transfer {data['id']} to {sender} is known here")
    news = transfer.state == "sent"
    transfer.state = "received"
    return news


def page(session: Session, limit: int, before: str | None) -> list[StockTransfer]:
    """Transfers from and to this branch, the newest id first."""
    query = select(StockTransfer).order_by(StockTransfer.id.desc()).limit(limit)
    if before is not None:
        query = query.where(StockTransfer.id < before)
    return list(session.scalars(query))


def in_transit(session: Session, branch: str) -> int:
    """Units that left this branch and are not known to have arrived."""
    mine = (StockTransfer.from_branch == branch) & (StockTransfer.state == "sent")
    query = select(func.coalesce(func.sum(StockTransfer.quantity), 0)).where(mine)
    return int(session.scalar(query) or 0)


def lock_rows(session: Session, branch: Branch, skus: Sequence[str]) -> None:
    """Lock this branch's stock of several products in the order in which reservations do."""
    query = (
        select(Stock.product_id)
        .join(Product, Product.id == Stock.product_id)
        .where(Product.sku.in_(skus), Stock.branch == branch.name)
        .order_by(Stock.product_id)
        .with_for_update(of=Stock, key_share=True)
    )
    session.execute(query)


def transfer_event(transfer: StockTransfer, product: Product) -> NewEvent:
    """Where a transfer stands, with what it is of."""
    described = transfer_document(transfer) | {"product": product_document(product)}
    return NewEvent(TYPE, transfer.sku, described)


def _tell(session: Session, branch: Branch, stock: Stock, transfer: StockTransfer) -> None:
    session.flush()
    offer = find(session, stock.product_id, branch.name)
    assert offer is not None, "a stock row has a product"
    events = [transfer_event(transfer, offer.product), stock_event(offer)]
    outbox.append(session.execute, events, branch.clock)


def _lock(session: Session, branch: Branch, sku: str) -> Stock:
    query = (
        select(Stock)
        .join(Product, Product.id == Stock.product_id)
        .where(Product.sku == sku, Stock.branch == branch.name)
        .with_for_update(of=Stock, key_share=True)
        .execution_options(populate_existing=True)
    )
    stock = session.scalars(query).one_or_none()
    if stock is None:
        raise ProductNotFound(f"There is no product {sku}.")
    return stock


def _same(existing: StockTransfer, wanted: Wanted, branch: str) -> bool:
    known = (existing.sku, existing.from_branch, existing.to_branch, existing.quantity)
    return known == (wanted.sku, branch, wanted.to, wanted.quantity)
