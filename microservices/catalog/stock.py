"""Stock, the heart: adjustments by operators, and what the shop may ask about it.

Reservations, which move stock for orders, are in `reservations`.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from catalog.models import Product, Reservation, Stock, StockMovement
from catalog.problems import InsufficientStock, ProductNotFound
from catalog.products import Branch, Offer, find, movement, stock_event
from chassis import cursors, outbox
from chassis.clock import rfc3339


def levels(session: Session, product_id: int, branch: str) -> tuple[Offer, list[Stock]] | None:
    """The product with this branch's stock, and its stock everywhere in order of branch."""
    offer = find(session, product_id, branch)
    if offer is None:
        return None
    query = select(Stock).where(Stock.product_id == product_id).order_by(Stock.branch)
    return offer, list(session.scalars(query))


def adjust(session: Session, branch: Branch, product_id: int, delta: int, reason: str) -> Offer:
    """Add or take units by hand, with the reason kept in the ledger.

    Raises:
        ProductNotFound: there is no such product.
        InsufficientStock: fewer than `-delta` units are there; nothing was changed.
    """
    query = (
        select(Stock)
        .where(Stock.product_id == product_id, Stock.branch == branch.name)
        .with_for_update(of=Stock)
        .execution_options(populate_existing=True)
    )
    stock = session.scalars(query).one_or_none()
    if stock is None:
        raise ProductNotFound(f"There is no product {product_id}.")
    if stock.available + delta < 0:
        line = {"product_id": product_id, "requested": -delta, "available": stock.available}
        raise InsufficientStock([line])
    stock.available += delta
    stock.version += 1
    session.add(movement(stock, branch, delta, "adjust", reason))
    session.flush()
    offer = find(session, product_id, branch.name)
    assert offer is not None, "a stock row has a product"
    outbox.append(session.execute, [stock_event(offer)], branch.clock)
    return offer


def movements(
    session: Session, product_id: int, limit: int, cursor: str | None
) -> tuple[list[StockMovement], str | None] | None:
    """One page of the ledger of a product, the newest first, and the cursor of the next; None if
    there is no such product."""
    if session.get(Product, product_id) is None:
        return None
    query = select(StockMovement).where(StockMovement.product_id == product_id)
    if cursor:
        (last,) = cursors.decode(cursor, "movements", (int,))
        query = query.where(StockMovement.id < last)
    found = list(session.scalars(query.order_by(StockMovement.id.desc()).limit(limit + 1)))
    shown = found[:limit]
    return shown, cursors.encode("movements", [shown[-1].id]) if len(found) > limit else None


def movement_document(movement: StockMovement) -> dict[str, Any]:
    """A line of the ledger as the contract shows it; `reference` is a reason or an order's id."""
    return {
        "id": movement.id,
        "branch": movement.branch,
        "delta": movement.delta,
        "kind": movement.kind,
        "reference": movement.reference,
        "at": rfc3339(movement.at),
    }


def totals(session: Session, branch: str) -> dict[str, Any]:
    """Units and reservations of this branch, for /status."""
    available = session.scalar(
        select(func.coalesce(func.sum(Stock.available), 0)).where(Stock.branch == branch)
    )
    held = session.execute(
        select(
            func.count(),
            func.count().filter(Reservation.expires_at < func.now()),
        ).where(Reservation.state == "held", Reservation.branch == branch)
    ).one()
    return {
        "products": session.scalar(text(_PRODUCTS_ON_SALE)),
        "units_available": int(available or 0),
        "reservations_held": held[0],
        "reservations_past_ttl": held[1],
    }


# Both out of an index alone, while the table itself is ten times as large.
_PRODUCTS_ON_SALE = """
SELECT (SELECT count(*) FROM products) - (SELECT count(*) FROM products WHERE NOT active)
"""
