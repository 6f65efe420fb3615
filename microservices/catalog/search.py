"""The list of products: full-text search, filters, order, and pages that stay in place."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from functools import cache
from typing import Any

from sqlalchemy import ARRAY, Integer, Text, bindparam, func, select, tuple_
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
    after, asked = _key(order, wanted), _asked(wanted)
    given = frozenset(name for name, value in asked.items() if value is not None)
    if wanted.q:
        query = _search(branch, wanted.sort, bool(after), "category" in given)
    else:
        query = _list(branch, wanted.sort, bool(after), given, wanted.active, wanted.in_stock)
    rows = session.execute(query, asked | after | {"more": wanted.limit + 1})
    found = [Offer(*row) for row in rows]
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


def _asked(wanted: Wanted) -> dict[str, Any]:
    return {
        # None at all, though something was asked for: no product has it.
        "words": folded_words(wanted.q or "")[:MOST_WORDS],
        "active": wanted.active,
        "category": wanted.category,
        "cheapest": wanted.min_price_cents,
        "dearest": wanted.max_price_cents,
        "in_stock": wanted.in_stock,
        "most": MOST_FOUND,
    }


def _key(order: Order, wanted: Wanted) -> dict[str, Any]:
    """The sort key of the last row shown; empty for the first page."""
    if not wanted.cursor:
        return {}
    value, last_id = cursors.decode(wanted.cursor, wanted.sort, (order.kind, int))
    return {"last_value": value, "last_id": last_id}


def _part(query: Any, source: Any, order: Order, goes_on: bool) -> Any:
    """What comes after the key, and one more than is shown: it tells of another page."""
    by = [getattr(source, order.column), source.id]
    if goes_on:
        # Rows compared: an index in this order begins there, which with `or` it is read up to.
        here, last = tuple_(*by), tuple_(bindparam("last_value"), bindparam("last_id"))
        query = query.where(here < last if order.descending else here > last)
    return _sorted(query, by, order).limit(bindparam("more", type_=Integer))


def _sorted(query: Any, by: list[Any], order: Order) -> Any:
    return query.order_by(*(each.desc() if order.descending else each.asc() for each in by))


def _category() -> Any:
    """Looked up first, so that the index of a category's products gives them in order."""
    return select(Category.id).where(Category.slug == bindparam("category")).scalar_subquery()


# The queries of pages are made once for each combination of what is asked for, five hundred at the
# most: making one takes a fifth of the time of a list.
@cache
def _list(
    branch: str,
    sort: str,
    goes_on: bool,
    given: frozenset[str],
    active: bool,
    in_stock: bool | None,
) -> Any:
    filters: list[Any] = [Product.active.is_(active)]
    if "category" in given:
        filters.append(Product.category_id == _category())
    if "cheapest" in given:
        filters.append(Product.price_cents >= bindparam("cheapest"))
    if "dearest" in given:
        filters.append(Product.price_cents <= bindparam("dearest"))
    if in_stock is not None:
        filters.append(Stock.available > 0 if in_stock else Stock.available == 0)
    return _part(offers(branch).where(*filters), Product, ORDERS[sort], goes_on)


@cache
def _search(branch: str, sort: str, goes_on: bool, of_category: bool) -> Any:
    """Many fit and a page shows few, so no more than these are read as a whole.

    Each product has had a row of this branch's stock from its beginning: none is lost in between.
    """
    order = ORDERS[sort]
    fits = _fitting(branch, of_category)
    ids = _part(select(fits.c.id), fits.c, order, goes_on)
    query = offers(branch).where(Product.id.in_(ids))
    return _sorted(query, [getattr(Product, order.column), Product.id], order)


def _fitting(branch: str, of_category: bool) -> Any:
    """The filters go along, for they come before the bound."""
    # An unknown category has no products; NULL would be any.
    category = func.coalesce(_category(), 0) if of_category else None
    found = func.fitting_products(
        bindparam("words", type_=ARRAY(Text)),
        bindparam("active"),
        category,
        bindparam("cheapest"),
        bindparam("dearest"),
        branch,
        bindparam("in_stock"),
        bindparam("most"),
    ).table_valued("id", "name_key", "price_cents")
    # As in the table: what a function returns has lost its order of letters.
    name_key = found.c.name_key.collate("C").label("name_key")
    return select(found.c.id, name_key, found.c.price_cents).subquery()


def folded_words(q: str) -> list[str]:
    """The words of a query in lower case without accents, as the index holds them."""
    plain = unicodedata.normalize("NFKD", q.lower())
    return re.findall(r"[a-z0-9]+", "".join(c for c in plain if not unicodedata.combining(c)))
