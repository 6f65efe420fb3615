"""Products and categories: what the shop offers, and how operators change it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import bindparam, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session, contains_eager

from catalog.models import Category, Product, Stock, StockMovement
from catalog.problems import AlreadyExists, CategoryNotFound, EditConflict, ProductNotFound
from chassis import outbox
from chassis.clock import Clock
from chassis.outbox import NewEvent
from chassis.replication import shared
from chassis.replication.shared import Edit


@dataclass(frozen=True)
class Branch:
    """Where and when a change is made."""

    name: str
    clock: Clock


@dataclass(frozen=True)
class Offer:
    """A product with this branch's stock of it."""

    product: Product
    stock: Stock

    @property
    def etag(self) -> str:
        """`<version>.<stock version>`; an edit is held against the part before the dot."""
        return f"{self.product.version}.{self.stock.version}"

    def document(self) -> dict[str, Any]:
        """The product as the contract shows it."""
        described = product_document(self.product)
        after_stock = {name: described.pop(name) for name in ("image_url", "active", "version")}
        return described | {"stock": self.stock.available} | after_stock


def category_document(category: Category) -> dict[str, Any]:
    """The category as the contract shows it."""
    return {"id": category.id, "slug": category.slug, "name": category.name}


def product_document(product: Product) -> dict[str, Any]:
    """What a product is, without its stock."""
    return {
        "id": product.id,
        "sku": product.sku,
        "name": product.name,
        "description": product.description,
        "category": category_document(product.category),
        "price_cents": product.price_cents,
        "currency": product.currency,
        "image_url": product.image_url,
        "active": product.active,
        "version": product.version,
    }


@cache
def offers(branch: str) -> Any:
    """The query of products with category and this branch's stock, one row each.

    Made once, as is what `find` makes of it: making that takes half as long as asking it.
    """
    return (
        select(Product, Stock)
        .join(Product.category)
        .join(Stock, (Stock.product_id == Product.id) & (Stock.branch == branch))
        .options(contains_eager(Product.category))
    )


def find(session: Session, product_id: int, branch: str) -> Offer | None:
    """One product, active or not."""
    row = session.execute(_of_one(branch), {"id": product_id}).one_or_none()
    return Offer(*row) if row else None


def find_many(session: Session, ids: Sequence[int], branch: str) -> list[Offer]:
    """Those of the products that exist, in order of id."""
    rows = session.execute(offers(branch).where(Product.id.in_(ids)).order_by(Product.id))
    return [Offer(*row) for row in rows]


def create(
    session: Session, branch: Branch, fields: dict[str, Any], edit: Edit | None = None
) -> Offer:
    """Add a product with its first supply.

    Args:
        edit: who made it, when it was not this branch now.

    Raises:
        AlreadyExists: the sku is taken.
        CategoryNotFound: there is no such category.
    """
    units = fields.pop("stock")
    image_url = fields.pop("image_url") or f"/images/{fields['sku']}.svg"
    category = session.get(Category, fields["category_id"])
    if category is None:
        raise CategoryNotFound(f"There is no category {fields['category_id']}.")
    product = Product(**fields, image_url=image_url, category=category)
    session.add(product)
    try:
        session.flush()
    except IntegrityError as error:
        raise AlreadyExists(f"The sku {fields['sku']} is taken.") from error
    session.refresh(product, ["version", "currency", "active"])
    stock = Stock(
        product_id=product.id, branch=branch.name, available=units, version=1, sent=0, received=0
    )
    session.add(stock)
    if units:
        session.add(movement(stock, branch, units, "supply", "first supply"))
    session.flush()
    tell(session, branch, Offer(product, stock), edit or _edited(session, branch, product))
    return Offer(product, stock)


def change(
    session: Session, branch: Branch, product_id: int, version: int, fields: dict[str, Any]
) -> Offer:
    """Edit a product if it still is at `version`.

    Raises:
        ProductNotFound, CategoryNotFound: there is no such product, or category to move it to.
        EditConflict: it is at another version by now; nothing was changed.
    """
    product = _lock(session, product_id)
    if product.version != version:
        raise EditConflict(
            f"The product is at version {product.version}, not {version}.", version=product.version
        )
    return _apply(session, branch, product, fields)


def deactivate(session: Session, branch: Branch, product_id: int) -> None:
    """Take a product out of the shop; its orders and movements stay. Repeating it is fine.

    Raises:
        ProductNotFound: there is no such product.
    """
    product = _lock(session, product_id)
    if product.active:
        _apply(session, branch, product, {"active": False})


def create_category(
    session: Session, branch: Branch, slug: str, name: str, edit: Edit | None = None
) -> Category:
    """Add a category.

    Args:
        edit: who made it, when it was not this branch now.

    Raises:
        AlreadyExists: the slug or the name is taken.
    """
    category = Category(slug=slug, name=name)
    session.add(category)
    try:
        session.flush()
    except IntegrityError as error:
        raise AlreadyExists(f"The category {slug} or its name exists already.") from error
    edit = edit or shared.edited_here(session.execute, "category", slug, branch.name)
    outbox.append(session.execute, [category_event(category, edit)], branch.clock)
    return category


def movement(stock: Stock, branch: Branch, delta: int, kind: str, reference: str) -> StockMovement:
    """The ledger entry of a change of `stock.available`."""
    return StockMovement(
        product_id=stock.product_id,
        branch=stock.branch,
        delta=delta,
        kind=kind,
        reference=reference,
        at=branch.clock.now(),
    )


def tell(session: Session, branch: Branch, offer: Offer, edit: Edit) -> None:
    """Write the events of a changed product: what it is, and this branch's stock of it.

    Both rows have to be locked: events of a row that is not could come after newer ones.
    """
    event = product_event(offer.product, edit)
    outbox.append(session.execute, [event, stock_event(offer)], branch.clock)


def product_event(product: Product, edit: Edit) -> NewEvent:
    """That a product is what it is, by whose edit."""
    described = product_document(product) | {"edit": edit.document()}
    return NewEvent("product.updated", product.sku, described)


def category_event(category: Category, edit: Edit) -> NewEvent:
    """That a category is there, by whose edit."""
    described = {"slug": category.slug, "name": category.name, "edit": edit.document()}
    return NewEvent("category.updated", category.slug, described)


def stock_event(offer: Offer) -> NewEvent:
    """That the stock is what it is, with what it is the stock of."""
    return NewEvent(
        "stock.updated",
        offer.product.sku,
        {
            "sku": offer.product.sku,
            "product_id": offer.product.id,
            "branch": offer.stock.branch,
            "available": offer.stock.available,
            "version": offer.stock.version,
            "sent": offer.stock.sent,
            "received": offer.stock.received,
            "product": product_document(offer.product),
        },
    )


@cache
def _of_one(branch: str) -> Any:
    return offers(branch).where(Product.id == bindparam("id"))


def _lock(session: Session, product_id: int) -> Product:
    query = (
        select(Product)
        .where(Product.id == product_id)
        .with_for_update(of=Product)
        .execution_options(populate_existing=True)
    )
    product = session.scalars(query).one_or_none()
    if product is None:
        raise ProductNotFound(f"There is no product {product_id}.")
    return product


def _apply(session: Session, branch: Branch, product: Product, fields: dict[str, Any]) -> Offer:
    if "category_id" in fields and session.get(Category, fields["category_id"]) is None:
        raise CategoryNotFound(f"There is no category {fields['category_id']}.")
    for name, value in fields.items():
        setattr(product, name, value)
    product.version += 1
    session.flush()
    mine = (Stock.product_id == product.id) & (Stock.branch == branch.name)
    session.execute(select(Stock.version).where(mine).with_for_update(key_share=True))
    session.expire(product)
    offer = find(session, product.id, branch.name)
    assert offer is not None, "every product has a stock row of its branch"
    tell(session, branch, offer, _edited(session, branch, offer.product))
    return offer


def _edited(session: Session, branch: Branch, product: Product) -> Edit:
    return shared.edited_here(session.execute, "product", product.sku, branch.name)
