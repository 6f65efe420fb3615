"""What other branches are told by the catalog, and what /status says of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session, joinedload

from catalog import rejoin, transfers
from catalog.models import Category, Product, Stock, StockTransfer
from catalog.ports import Ports
from catalog.products import Offer, category_event, offers, product_event, stock_event
from chassis.clock import rfc3339
from chassis.events import Event
from chassis.ids import new_id
from chassis.outbox import NewEvent
from chassis.replication import shared, state
from chassis.replication.relay import PeerRelay
from chassis.replication.sink import PeerSink

EDITABLE = ("product.updated", "category.updated")
TOLD = ("stock.updated", transfers.TYPE)
PAGE = 500


def relays(ports: Ports) -> list[PeerRelay]:
    """One relay for each peer."""
    engine, source = ports.database.primary, f"/{ports.branch}/catalog"
    found = []
    for name, client in ports.peers.items():
        sink = PeerSink(
            engine, source, client, lambda e: _is_told(ports.branch, e), _documents, ports.clock
        )
        relay = PeerRelay(
            engine,
            source,
            sink,
            name,
            snapshot=partial(snapshot, ports=ports, peer=name),
            retry_seconds=ports.settings.replication_retry_seconds,
            on_set_back=lambda _: _close(ports),
        )
        found.append(relay)
    return found


def _close(ports: Ports) -> None:
    rejoin.close(ports)


def _is_told(branch: str, event: Event) -> bool:
    """Edits of others reach every branch from where they were made."""
    if event.type in EDITABLE:
        return event.data.get("edit", {}).get("branch", "") in ("", branch)
    return event.type in TOLD


def _documents(events: Iterable[Event]) -> Iterator[dict[str, Any]]:
    return (event.document() for event in events)


def snapshot(connection: Connection, ports: Ports, peer: str) -> Iterator[Event]:
    """Everything that a peer has to know of this branch, as events."""
    lamport = state.of_self(connection.execute).lamport
    now = rfc3339(ports.clock.now())

    def event(new: NewEvent) -> Event:
        source = f"/{ports.branch}/catalog"
        return Event(new_id(), source, new.type, new.subject, now, lamport, new.data)

    with Session(connection) as session:
        for category in session.scalars(select(Category).order_by(Category.id)):
            edit = shared.find(session.execute, "category", category.slug)
            yield event(category_event(category, edit))
        last = 0
        while found := _page(session, ports.branch, last):
            for offer in found:
                edit = shared.find(session.execute, "product", offer.product.sku)
                yield event(product_event(offer.product, edit))
                yield event(stock_event(offer))
            last = found[-1].product.id
            session.expunge_all()
        for transfer, product in session.execute(_transfers_between(ports.branch, peer)):
            yield event(transfers.transfer_event(transfer, product))


def _page(session: Session, branch: str, after: int) -> list[Offer]:
    query = offers(branch).where(Product.id > after).order_by(Product.id).limit(PAGE)
    return [Offer(*row) for row in session.execute(query)]


def _transfers_between(branch: str, peer: str) -> Any:
    """What is on its way to a peer, and what arrived from it: it may not have been told of that."""
    leaves = (StockTransfer.from_branch == branch) & (StockTransfer.state == "sent")
    arrived = (StockTransfer.to_branch == branch) & (StockTransfer.from_branch == peer)
    return (
        select(StockTransfer, Product)
        .join(Product, Product.sku == StockTransfer.sku)
        .options(joinedload(Product.category))
        .where(leaves & (StockTransfer.to_branch == peer) | arrived)
        .order_by(StockTransfer.id)
    )


def totals(session: Session, branch: str) -> dict[str, Any]:
    """For /status: units of each branch as they are known here, and the sum over all of them."""
    rows = session.execute(
        select(Stock.branch, func.sum(Stock.available))
        .group_by(Stock.branch)
        .order_by(Stock.branch)
    )
    units = {name: int(available) for name, available in rows}
    leaving = transfers.in_transit(session, branch)
    me = state.of_self(session.execute)
    return {
        "units": units,
        "in_transit_from_here": leaving,
        "units_in_all": sum(units.values()) + leaving,
        "epoch": me.epoch,
        "rejoining": me.rejoining,
    }
