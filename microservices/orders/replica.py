"""What the events of other branches do to orders."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from pydantic import Field, TypeAdapter
from sqlalchemy import func, select, text, tuple_
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from chassis.clock import rfc3339
from chassis.ids import ULID_PATTERN
from chassis.problems import Forbidden
from chassis.replication import door
from chassis.replication.door import CannotTake, Incoming, Result
from chassis.replication.shared import Edit
from chassis.schemas import TOP_ID, Said
from orders import customers
from orders.account_schemas import Email, Name
from orders.branch_models import BranchOrder
from orders.models import OrderRow
from orders.ports import Ports
from orders.schemas import Status

ORDER_EVENTS = ("order.created", "order.status_changed")


class CustomerSaid(Said):
    email: Email
    name: Name


class ItemSaid(Said):
    sku: str = Field(min_length=1, max_length=60)
    name: str | None = Field(max_length=200)
    quantity: int = Field(ge=1, le=TOP_ID)
    unit_price_cents: int | None = Field(ge=0, le=TOP_ID)


class OrderSaid(Said):
    id: str = Field(pattern=ULID_PATTERN)
    status: Status
    items: list[ItemSaid] = Field(max_length=100)
    total_cents: int = Field(ge=0, le=TOP_ID)
    currency: str = Field(pattern="^[A-Z]{3}$")
    created_at: str
    version: int = Field(ge=1, le=TOP_ID)
    customer: CustomerSaid


def take(ports: Ports, peer: str, events: list[dict[str, Any]]) -> dict[str, Any]:
    """Give a peer's events of orders their effect; the answer of `door.receive`.

    Args:
        peer: the branch that sent them, as the catalog's door made sure.

    Raises:
        EpochOver: of that branch's past.
        Forbidden: they are not that branch's, or not of its orders.
    """
    services, strange = door.read(peer, events)
    if services.keys() - {"orders"}:
        raise Forbidden("These are not events of orders.")
    if "orders" not in services:
        return {"results": strange}
    took = ports.database.write(
        lambda session: door.receive(session, services["orders"], _apply),
        repeatable=True,
    )
    return took | {"results": took["results"] + strange}


def _apply(session: Session, batch: Sequence[Incoming]) -> list[Result]:
    return [door.take_one(session, each, _one) for each in batch]


def _one(session: Session, incoming: Incoming) -> Result:
    if incoming.event.type in ORDER_EVENTS:
        return _outcome(_copy_order(session, incoming))
    if incoming.event.type == customers.TYPE:
        said = CustomerSaid.model_validate(incoming.event.data).model_dump()
        edit = Edit.read(incoming.event.data.get("edit"))
        return _outcome(customers.take(session, said, edit))
    return {"outcome": "ignored"}


def _outcome(changed: bool) -> Result:
    return {"outcome": "applied" if changed else "unchanged"}


def _copy_order(session: Session, incoming: Incoming) -> bool:
    said = OrderSaid.model_validate(incoming.event.data)
    if session.get(OrderRow, said.id) is not None:
        raise CannotTake(f"order {said.id} is of this branch")
    customers.ensure(session, said.customer.model_dump())
    values = said.model_dump(exclude={"customer", "created_at"}) | {
        "branch": incoming.branch,
        "epoch": incoming.epoch or 0,
        "customer_email": said.customer.email,
        "created_at": TypeAdapter(datetime).validate_python(said.created_at),
    }
    copy = insert(BranchOrder).values(values)
    changed = {name: copy.excluded[name] for name in values if name not in ("id", "branch")}
    newer = tuple_(BranchOrder.epoch, BranchOrder.version) < tuple_(
        copy.excluded.epoch, copy.excluded.version
    )
    done = copy.on_conflict_do_update(
        index_elements=["id"],
        set_=changed,
        where=newer & (BranchOrder.branch == copy.excluded.branch),
    )
    return session.execute(done.returning(BranchOrder.id)).one_or_none() is not None


def order_document(order: BranchOrder) -> dict[str, Any]:
    """The copy of an order as the contract shows it."""
    return {
        "id": order.id,
        "branch": order.branch,
        "status": order.status,
        "customer_email": order.customer_email,
        "items": order.items,
        "total_cents": order.total_cents,
        "currency": order.currency,
        "created_at": rfc3339(order.created_at),
        "version": order.version,
    }


def page(session: Session, branch: str | None, limit: int, before: str | None) -> list[BranchOrder]:
    """Orders of other branches, the newest id first."""
    query = select(BranchOrder).order_by(BranchOrder.id.desc()).limit(limit)
    if branch is not None:
        query = query.where(BranchOrder.branch == branch)
    return list(session.scalars(query.where(BranchOrder.id < before) if before else query))


def totals(session: Session, own: str) -> dict[str, Any]:
    """For /status: orders of each branch as they are known here, and all of them."""
    copies = select(BranchOrder.branch, func.count()).group_by(BranchOrder.branch)
    count = session.scalar(select(func.count()).select_from(OrderRow)) or 0
    orders = {own: count} | {row[0]: row[1] for row in session.execute(copies)}
    epoch = session.scalar(text("SELECT epoch FROM branch_state"))
    return {"orders": orders, "orders_in_all": sum(orders.values()), "epoch": epoch}
