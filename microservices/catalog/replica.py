"""What the events of other branches do to the catalog."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from catalog import products, rejoin, transfers
from catalog.models import Category, Product, Stock, StockTransfer
from catalog.ports import Ports
from catalog.problems import InsufficientStock
from catalog.products import Branch
from catalog.replica_schemas import SharedProduct, StockCopy, TransferSaid
from catalog.transfers import Wanted
from chassis.problems import NotFound, Unprocessable
from chassis.replication import door, shared
from chassis.replication.door import CannotTake, Incoming, Result
from chassis.replication.shared import FIRST, Edit

ORDERS_SECONDS = 4.0


def take(ports: Ports, peer: str, body: Any) -> dict[str, Any]:
    """Give what a peer sent its effect; orders' events go on to orders, with their products.

    Raises:
        Forbidden: it speaks for another branch.
        EpochOver: of this branch's past.
        Unavailable: a store or orders could not be asked; what was sent may come again.
    """
    services, strange = door.read(peer, body)
    answer: dict[str, Any] = {"branch": ports.branch, "services": {}, "results": strange}
    for service, batch in services.items():
        took = _of_orders(ports, batch) if service == "orders" else _of_catalog(ports, batch)
        answer["results"] += took.pop("results")
        answer["services"][service] = took
    return answer


def _of_catalog(ports: Ports, batch: list[Incoming]) -> dict[str, Any]:
    at = Branch(ports.branch, ports.clock)
    return ports.database.write(
        lambda session: door.receive(session, batch, lambda s, current: _apply(s, at, current)),
        repeatable=True,
    )


def _of_orders(ports: Ports, batch: list[Incoming]) -> dict[str, Any]:
    at = Branch(ports.branch, ports.clock)
    described = {
        each["sku"]: each
        for incoming in batch
        for each in incoming.event.data.get("products") or ()
        if isinstance(each, dict) and isinstance(each.get("sku"), str)
    }
    if missing := ports.database.read_primary(lambda s: _unknown(s, list(described))):
        ports.database.write(
            lambda s: [_ensure(s, at, described[sku]) for sku in sorted(missing)], repeatable=True
        )
    documents = [_without_products(each) for each in batch]
    answer = ports.orders.call(
        "POST",
        "/internal/replica",
        body={"peer": batch[0].branch, "events": documents},
        seconds=ORDERS_SECONDS,
        repeatable=True,
    )
    if answer.status == 409 and "known" in answer.body:
        raise door.EpochOver(answer.body["detail"], known=answer.body["known"])
    if answer.status != 200:
        raise Unprocessable(f"Orders answered {answer.status}.")
    took: dict[str, Any] = answer.body
    return took


def _without_products(incoming: Incoming) -> dict[str, Any]:
    data = {name: value for name, value in incoming.event.data.items() if name != "products"}
    document = incoming.event.document() | {"data": data}
    marks = {"epoch": incoming.epoch, "start": incoming.start, "position": incoming.position}
    return document | {name: value for name, value in marks.items() if value is not None}


def _apply(session: Session, at: Branch, batch: Sequence[Incoming]) -> list[Result]:
    """Stock of the peer, which is most of it, goes in one statement, after its products."""
    moved = [i.event.data.get("sku") for i in batch if i.event.type == transfers.TYPE]
    if moved:
        transfers.lock_rows(session, at, [sku for sku in moved if isinstance(sku, str)])
    copies = [each for each in batch if each.event.type == "stock.updated"]
    others = [each for each in batch if each.event.type != "stock.updated"]
    # In one order whichever branch they are from, so that two batches do not wait for each other;
    # what is about one thing stays in the order in which it happened.
    others.sort(key=lambda each: (each.event.type, each.event.subject))
    results = [door.take_one(session, each, lambda s, i: _one(s, at, i)) for each in others]
    return results + _copy_stock(session, at, copies)


def _one(session: Session, at: Branch, incoming: Incoming) -> Result:
    data = incoming.event.data
    match incoming.event.type:
        case "product.updated":
            return _outcome(_share_product(session, at, data))
        case "category.updated":
            return _outcome(_share_category(session, at, data))
        case transfers.TYPE:
            return _outcome(_transferred(session, at, incoming))
        case "stock.requested":
            return _requested(session, at, incoming)
        case "branch.rejoining":
            return {
                "answer": rejoin.knowledge_of(session, incoming.branch, int(data.get("epoch", 0)))
            }
    return {"outcome": "ignored"}


def _outcome(changed: bool) -> Result:
    return {"outcome": "applied" if changed else "unchanged"}


def _share_product(session: Session, at: Branch, data: dict[str, Any]) -> bool:
    said = SharedProduct.model_validate(data)
    edit = Edit.read(data.get("edit"))
    return _put_product(session, at, said, edit)


def _put_product(session: Session, at: Branch, said: SharedProduct, edit: Edit) -> bool:
    found: list[Product] = []

    def current() -> dict[str, Any] | None:
        query = select(Product).where(Product.sku == said.sku).with_for_update(of=Product)
        found[:] = session.scalars(query.execution_options(populate_existing=True))
        if not found:
            return None
        category = session.get_one(Category, found[0].category_id)
        return SharedProduct.of(found[0], category).model_dump()

    thing = ("product", said.sku)
    if not shared.wins(session.execute, thing, edit, said.model_dump(), current):
        return False
    fields = said.model_dump(exclude={"category"})
    by_slug = select(Category).where(Category.slug == said.category.slug)
    if session.scalars(by_slug).one_or_none() is None:
        _share_category(session, at, said.category.model_dump())
    category = session.scalars(by_slug).one()
    if not found:
        products.create(session, at, fields | {"category_id": category.id, "stock": 0}, edit)
        return True
    product = found[0]
    for name, value in (fields | {"category_id": category.id}).items():
        setattr(product, name, value)
    product.version += 1
    session.flush()
    mine = (Stock.product_id == product.id) & (Stock.branch == at.name)
    session.execute(select(Stock.version).where(mine).with_for_update(key_share=True))
    session.expire(product)
    offer = products.find(session, product.id, at.name)
    assert offer is not None, "every product has a stock row of its branch"
    products.tell(session, at, offer, edit)
    return True


def _share_category(session: Session, at: Branch, data: dict[str, Any]) -> bool:
    slug, name = str(data["slug"]), str(data["name"])
    edit = Edit.read(data.get("edit"))
    found: list[Category] = []

    def current() -> dict[str, Any] | None:
        query = select(Category).where(Category.slug == slug).with_for_update()
        found[:] = session.scalars(query.execution_options(populate_existing=True))
        return {"slug": slug, "name": found[0].name} if found else None

    document = {"slug": slug, "name": name}
    thing = ("category", slug)
    if not shared.wins(session.execute, thing, edit, document, current):
        return False
    free = _free_name(session, slug, name)
    if found:
        found[0].name = free
        session.flush()
        return True
    products.create_category(session, at, slug, free, edit)
    return True


def _free_name(session: Session, slug: str, name: str) -> str:
    """The name, unless another category has it: then the one with the later slug gets its slug too.

    Both branches of a pair that made them at once come to the same.
    """
    query = select(Category).where(Category.name == name, Category.slug != slug).with_for_update()
    other = session.scalars(query).one_or_none()
    if other is None:
        return name
    if other.slug < slug:
        return f"{name} ({slug})"
    other.name = f"{name} ({other.slug})"
    session.flush()
    return name


def _ensure(session: Session, at: Branch, described: dict[str, Any]) -> bool:
    """Make a product that is not known here yet, older than any edit of it."""
    return _put_product(session, at, SharedProduct.model_validate(described), FIRST)


def _unknown(session: Session, skus: list[str]) -> set[str]:
    known = session.scalars(select(Product.sku).where(Product.sku.in_(skus))) if skus else ()
    return set(skus) - set(known)


def _transferred(session: Session, at: Branch, incoming: Incoming) -> bool:
    said = TransferSaid.model_validate(incoming.event.data)
    speaker = said.from_branch if said.state == "sent" else said.to_branch
    if speaker != incoming.branch:
        raise CannotTake(f"{incoming.branch} cannot say this of a transfer by {speaker}")
    if said.state == "received":
        return said.from_branch == at.name and transfers.received(
            session, incoming.branch, incoming.event.data
        )
    if said.to_branch != at.name:
        return False
    if _unknown(session, [said.sku]):
        _ensure(session, at, incoming.event.data["product"])
    return transfers.credit(session, at, incoming.event.data)


def _requested(session: Session, at: Branch, incoming: Incoming) -> Result:
    """A peer that runs short asks for units: as many as there are, up to what it asks for."""
    data = incoming.event.data
    sku, quantity = str(data["sku"]), int(data["quantity"])
    asked_before = session.get(StockTransfer, incoming.event.id)
    if asked_before is not None:
        return {"answer": transfers.transfer_document(asked_before)}
    stock = session.scalars(
        select(Stock)
        .join(Product, Product.id == Stock.product_id)
        .where(Product.sku == sku, Stock.branch == at.name, Product.active)
    ).one_or_none()
    granted = min(quantity, stock.available if stock else 0)
    if granted < 1:
        return {"outcome": "unchanged"}
    try:
        wanted = Wanted(incoming.event.id, sku, granted, incoming.branch)
        transfer = transfers.send(session, at, wanted)
    except (InsufficientStock, NotFound):
        return {"outcome": "unchanged"}
    session.flush()
    return {"answer": transfers.transfer_document(transfer)}


def _copy_stock(session: Session, at: Branch, batch: Sequence[Incoming]) -> list[Result]:
    """Keep what the peer says of its own stock, unless something newer is known."""
    results, rows, described = [], [], {}
    for incoming in batch:
        try:
            said = StockCopy.model_validate(incoming.event.data)
        except ValueError as error:
            results.append(door.refused(incoming, str(error).splitlines()[0]))
            continue
        if said.branch != incoming.branch:
            told = f"{incoming.branch} cannot speak of the stock of {said.branch}"
            results.append(door.refused(incoming, told))
            continue
        described[said.sku] = incoming
        rows.append(said.model_dump() | {"epoch": incoming.epoch or 0})
        results.append({"id": incoming.event.id, "outcome": "applied"})
    for sku in sorted(_unknown(session, list(described))):
        made = door.take_one(session, described[sku], lambda s, i: _made(s, at, i))
        if made["outcome"] == "refused":
            results.append(made)
    if rows:
        session.execute(text(_COPY), {"rows": json.dumps(rows)})
    return results


def _made(session: Session, at: Branch, incoming: Incoming) -> Result:
    _ensure(session, at, incoming.event.data["product"])
    return {}


# Of several states of one product in a batch the newest; row by row in one order, so that two
# batches cannot wait for each other.
_COPY = """
INSERT INTO stock (product_id, branch, available, version, replica, epoch, sent, received)
SELECT DISTINCT ON (p.id, r.branch)
    p.id, r.branch, r.available, r.version, true, r.epoch, r.sent, r.received
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (
    sku text, branch text, available bigint, version bigint, epoch bigint, sent bigint,
    received bigint)
JOIN products p ON p.sku = r.sku
ORDER BY p.id, r.branch, r.epoch DESC, r.version DESC
ON CONFLICT (product_id, branch) DO UPDATE SET available = EXCLUDED.available,
    version = EXCLUDED.version, epoch = EXCLUDED.epoch, sent = EXCLUDED.sent,
    received = EXCLUDED.received
WHERE stock.replica AND (stock.epoch, stock.version) < (EXCLUDED.epoch, EXCLUDED.version)
"""
