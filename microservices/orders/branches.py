"""What other branches are told by orders: their orders with customer and products, and customers.

An order's event names products by ids that mean nothing elsewhere. What a peer gets is put together
when it is sent: items by SKU, the customer, and what the products are, so that the peer can make
what it does not know. Addresses, payments and the ids of carts stay here.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from sqlalchemy import select
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from chassis.clock import rfc3339
from chassis.events import Event
from chassis.ids import new_id
from chassis.problems import Unavailable
from chassis.replication import shared, state
from chassis.replication.client import PeerAway
from chassis.replication.relay import PeerRelay
from chassis.replication.sink import PeerSink
from orders import customers
from orders.account_models import User
from orders.branch_models import Customer
from orders.models import OrderRow
from orders.order import Order
from orders.ports import Ports
from orders.probe import PROBE_EMAIL
from orders.replica import ORDER_EVENTS

BATCH = 200
CATALOG_SECONDS = 3.0
MOST_IDS = 100


def relays(ports: Ports) -> list[PeerRelay]:
    """One relay for each peer."""
    engine, own = ports.database.primary, ports.settings.node_name
    source = f"/{own}/orders"
    found = []
    for name, client in ports.peers.items():
        sink = PeerSink(
            engine,
            source,
            client,
            lambda event: _is_told(own, event),
            lambda events: _documents(ports, events),
            ports.clock,
        )
        relay = PeerRelay(
            engine,
            source,
            sink,
            name,
            snapshot=lambda connection: snapshot(connection, ports),
            retry_seconds=ports.settings.replication_retry_seconds,
            on_set_back=lambda epoch: _begin_epoch(ports, epoch),
        )
        found.append(relay)
    return found


def _begin_epoch(ports: Ports, above: int) -> None:
    # Nothing that peers have heard of orders is asked back: what is lost here is lost here.
    ports.database.write(lambda session: state.begin_epoch(session.execute, above, ports.peers))


def _is_told(branch: str, event: Event) -> bool:
    """Edits of others reach every branch from where they were made."""
    if event.type == customers.TYPE:
        return event.data.get("edit", {}).get("branch", "") in ("", branch)
    return event.type in ORDER_EVENTS


def _documents(ports: Ports, events: Iterable[Event]) -> Iterator[dict[str, Any]]:
    waiting = iter(events)
    while batch := list(islice(waiting, BATCH)):
        orders = [event for event in batch if event.type in ORDER_EVENTS]
        users = _users(ports, {event.data["user_id"] for event in orders})
        known = _products(
            ports, {item["product_id"] for event in orders for item in event.data["items"]}
        )
        for event in batch:
            if event.type not in ORDER_EVENTS:
                yield event.document()
            elif user := users.get(event.data["user_id"]):
                yield event.document() | {"data": _told(event.data, user, known)}


def _told(
    data: dict[str, Any], user: dict[str, str], known: dict[int, dict[str, Any]]
) -> dict[str, Any]:
    kept = ("id", "status", "total_cents", "currency", "created_at", "version")
    items = [
        {name: item[name] for name in ("name", "quantity", "unit_price_cents")}
        | {"sku": known[item["product_id"]]["sku"]}
        for item in data["items"]
        if item["product_id"] in known
    ]
    products = [known[item["product_id"]] for item in data["items"] if item["product_id"] in known]
    return {name: data[name] for name in kept} | {
        "items": items,
        "customer": user,
        "products": products,
    }


def _users(ports: Ports, ids: set[str]) -> dict[str, dict[str, str]]:
    """By id; without the account of the ready check, whose orders are removed again."""
    if not ids:
        return {}
    query = select(User.id, User.email, User.name).where(User.id.in_(ids))
    rows = ports.database.read_primary(lambda session: session.execute(query).all())
    return {
        row.id: {"email": row.email, "name": row.name} for row in rows if row.email != PROBE_EMAIL
    }


def _products(ports: Ports, ids: set[int]) -> dict[int, dict[str, Any]]:
    """What the products are, by id. Raises PeerAway when the catalog cannot be asked now."""
    found: dict[int, dict[str, Any]] = {}
    wanted = sorted(ids)
    for start in range(0, len(wanted), MOST_IDS):
        some = ",".join(map(str, wanted[start : start + MOST_IDS]))
        path = f"/internal/products?ids={some}"
        try:
            answer = ports.holds.catalog.call("GET", path, seconds=CATALOG_SECONDS, repeatable=True)
        except Unavailable as error:
            raise PeerAway(f"the catalog, for what products are: {error.detail}") from error
        if answer.status != 200:
            raise PeerAway(f"the catalog answered {answer.status} for what products are")
        found |= {product["id"]: product for product in answer.body["items"]}
    return found


def snapshot(connection: Connection, ports: Ports) -> Iterator[Event]:
    """Everything that a branch has to know of this one's orders, as events."""
    source = f"/{ports.settings.node_name}/orders"
    lamport = state.of_self(connection.execute).lamport
    now = rfc3339(ports.clock.now())

    def event(kind: str, subject: str, data: dict[str, Any]) -> Event:
        return Event(new_id(), source, kind, subject, now, lamport, data)

    with Session(connection) as session:
        email = ""
        while known := customers.page(session, BATCH, email):
            for customer in known:
                new = customers.customer_event(customer, _edit(session, customer))
                yield event(new.type, new.subject, new.data)
            email = known[-1].email
            session.expunge_all()
        last = ""
        while orders := _orders(session, last):
            for order in orders:
                yield event("order.status_changed", order.id, order.event_data())
            last = orders[-1].id


def _edit(session: Session, customer: Customer) -> shared.Edit:
    return shared.find(session.execute, "customer", customer.email)


def _orders(session: Session, after: str) -> list[Order]:
    query = select(OrderRow).where(OrderRow.id > after, OrderRow.step != "validate")
    found = [Order.of(row) for row in session.scalars(query.order_by(OrderRow.id).limit(BATCH))]
    session.expunge_all()
    return found
