"""The list of products: full-text search, filters, order, and pages that stay in place."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

from sqlalchemy import func, select, tuple_
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
    """A sort order: its column, direction and type."""

    column: str
    descending: bool
    kind: type


ORDERS = {
    "name": Order("name_key", False, str),
    "-name": Order("name_key", True, str),
    "price": Order("price_cents", False, int),
    "-price": Order("price_cents", True, int),
    "newest": Order("id", True, int),
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
    if wanted.q:
        # Many fit a search and a page shows few: no more than these are read as a whole.
        fits = _fitting(wanted, branch)
        here = _part(select(fits.c.id), fits.c, order, wanted)
        query = offers(branch).where(Product.id.in_(here))
    else:
        query = offers(branch).where(*_filters(wanted))
    found = [Offer(*row) for row in session.execute(_part(query, Product, order, wanted))]
    shown = found[: wanted.limit]
    if len(found) <= wanted.limit:
        return shown, None
    last = shown[-1].product
    key = [getattr(last, order.column), last.id]
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


def _part(query: Any, source: Any, order: Order, wanted: Wanted) -> Any:
    """What comes after the cursor, and one more than is shown: it tells of another page."""
    by = [getattr(source, order.column), source.id]
    if wanted.cursor:
        value, last_id = cursors.decode(wanted.cursor, wanted.sort, (order.kind, int))
        # Rows compared: an index in this order begins there, which with `or` it is read up to.
        here, key = tuple_(*by), tuple_(value, last_id)
        query = query.where(here < key if order.descending else here > key)
    query = query.order_by(*(c.desc() if order.descending else c.asc() for c in by))
    return query.limit(wanted.limit + 1)


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


def _fitting(wanted: Wanted, branch: str) -> Any:
    """What fits a search. The filters go along, for they come before the bound."""
    found = func.fitting_products(
        # No word at all, though something was asked for: no product has it.
        folded_words(wanted.q or "")[:MOST_WORDS],
        wanted.active,
        _id_of(wanted.category) if wanted.category is not None else None,
        wanted.min_price_cents,
        wanted.max_price_cents,
        branch,
        wanted.in_stock,
        MOST_FOUND,
    ).table_valued("id", "name_key", "price_cents")
    # As in the table: what a function returns has lost its order of letters.
    name_key = found.c.name_key.collate("C").label("name_key")
    return select(found.c.id, name_key, found.c.price_cents).subquery()


def folded_words(q: str) -> list[str]:
    """The words of a query in lower case without accents, as the index holds them."""
    plain = unicodedata.normalize("NFKD", q.lower())
    return re.findall(r"[a-z0-9]+", "".join(c for c in plain if not unicodedata.combining(c)))
