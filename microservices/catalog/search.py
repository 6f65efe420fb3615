"""The list of products: full-text search, filters, order, and pages that stay in place."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from sqlalchemy import false, func, select, tuple_
from sqlalchemy.orm import Session

from catalog.models import Category, Product, Stock
from catalog.products import Offer, offers
from chassis import cursors

MOST_WORDS = 12
MOST_LISTED = 500
# Of the products that fit a search; one that is as common as that wants more words.
MOST_FOUND = 500


@dataclass(frozen=True)
class Order:
    """A sort order: its column, direction, and how its value is read off a row."""

    column: Any
    descending: bool
    kind: type
    attribute: str


ORDERS = {
    "name": Order(Product.name_key, False, str, "name_key"),
    "-name": Order(Product.name_key, True, str, "name_key"),
    "price": Order(Product.price_cents, False, int, "price_cents"),
    "-price": Order(Product.price_cents, True, int, "price_cents"),
    "newest": Order(Product.id, True, int, "id"),
}


@dataclass(frozen=True)
class Wanted:
    """What a list shows; see the parameters of GET /api/products. `active`: on sale, or off."""

    category: str | None
    q: str | None
    min_price_cents: int | None
    max_price_cents: int | None
    in_stock: bool | None
    sort: str
    limit: int
    cursor: str | None
    active: bool = True


def page(session: Session, branch: str, wanted: Wanted) -> tuple[list[Offer], str | None]:
    """One page of products and the cursor of the next, None on the last.

    A cursor is the sort key of the last row shown, so a product that appears, goes or is sold
    elsewhere neither repeats nor hides another.
    """
    order = ORDERS[wanted.sort]
    query = offers(branch).where(*_filters(wanted))
    if wanted.q:
        query = query.where(_matches(wanted, branch))
    if wanted.cursor:
        value, last_id = cursors.decode(wanted.cursor, wanted.sort, (order.kind, int))
        query = query.where(_after(order, value, last_id))
    direction = [order.column, Product.id]
    query = query.order_by(*(c.desc() if order.descending else c.asc() for c in direction))
    found = [Offer(*row) for row in session.execute(query.limit(wanted.limit + 1))]
    shown = found[: wanted.limit]
    if len(found) <= wanted.limit:
        return shown, None
    last = shown[-1].product
    key = [getattr(last, order.attribute), last.id]
    return shown, cursors.encode(wanted.sort, key)


def everything(
    session: Session,
    branch: str,
    category_id: int | None,
    most_cents: int | None,
    in_stock: bool | None,
) -> list[Offer]:
    """All active products that pass the filters, in order of name, up to `MOST_LISTED`."""
    query = offers(branch).where(Product.active.is_(True)).order_by(Product.name_key, Product.id)
    if category_id is not None:
        query = query.where(Product.category_id == category_id)
    if most_cents is not None:
        query = query.where(Product.price_cents <= most_cents)
    if in_stock is not None:
        query = query.where(Stock.available > 0 if in_stock else Stock.available == 0)
    return [Offer(*row) for row in session.execute(query.limit(MOST_LISTED))]


def categories(session: Session, limit: int, cursor: str | None) -> tuple[list[Category], Any]:
    """One page of categories in order of name."""
    query = select(Category).order_by(Category.name, Category.id)
    if cursor:
        name, last_id = cursors.decode(cursor, "categories", (str, int))
        query = query.where(tuple_(Category.name, Category.id) > tuple_(name, last_id))
    found = list(session.scalars(query.limit(limit + 1)))
    if len(found) <= limit:
        return found, None
    last = found[limit - 1]
    return found[:limit], cursors.encode("categories", [last.name, last.id])


def _filters(wanted: Wanted) -> list[Any]:
    filters: list[Any] = [Product.active.is_(wanted.active)]
    if wanted.category is not None:
        filters.append(Product.category_id == _id_of(wanted.category))
    if wanted.min_price_cents is not None:
        filters.append(Product.price_cents >= wanted.min_price_cents)
    if wanted.max_price_cents is not None:
        filters.append(Product.price_cents <= wanted.max_price_cents)
    if wanted.in_stock is not None:
        filters.append(Stock.available > 0 if wanted.in_stock else Stock.available == 0)
    return filters


def _id_of(category: str) -> Any:
    """Looked up first, so that the index of a category's products gives them in order."""
    return select(Category.id).where(Category.slug == category).scalar_subquery()


def _matches(wanted: Wanted, branch: str) -> Any:
    """The filters go along, for they come before the bound."""
    words = folded_words(wanted.q or "")[:MOST_WORDS]
    if not words:
        return false()  # something was asked for, and no product has it
    found = func.find_products(
        words,
        wanted.active,
        _id_of(wanted.category) if wanted.category is not None else None,
        wanted.min_price_cents,
        wanted.max_price_cents,
        branch,
        wanted.in_stock,
        MOST_FOUND,
    )
    return Product.id.in_(select(found))


def folded_words(q: str) -> list[str]:
    """The words of a query in lower case without accents, as the index holds them."""
    plain = unicodedata.normalize("NFKD", q.lower())
    return re.findall(r"[a-z0-9]+", "".join(c for c in plain if not unicodedata.combining(c)))


def _after(order: Order, value: Any, last_id: int) -> Any:
    # Rows compared: an index in this order begins there, which with `or` it would be read up to.
    here, key = tuple_(order.column, Product.id), tuple_(value, last_id)
    return here < key if order.descending else here > key
