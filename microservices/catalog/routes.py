"""HTTP of products, categories and stock: parse, call, status."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag

from catalog import products, search, stock
from catalog.ports import Ports, ports
from catalog.problems import EditConflict, PreconditionRequired, ProductNotFound
from catalog.products import Branch, Offer
from catalog.schemas import (
    CategoryList,
    CategoryShown,
    IfMatch,
    MovementList,
    NewCategory,
    NewProduct,
    ProductChanges,
    ProductList,
    ProductPath,
    ProductQuery,
    ProductShown,
    StockAdjustment,
    StockQuery,
    StockShown,
)
from chassis.auth import allow
from chassis.consistency import TOKEN_HEADER
from chassis.problems import Unprocessable
from chassis.schemas import Page, json_response, no_content

Found = TypeVar("Found")

api = APIBlueprint(
    "products", __name__, url_prefix="/api", abp_tags=[Tag(name="Products and stock")]
)


@api.get("/products", responses={200: ProductList}, summary="List and search products")
@allow("public")
def list_products(query: ProductQuery) -> Response:
    return json_response(_page(search.Wanted(**query.model_dump())))


@api.get(
    "/products/off-sale", responses={200: ProductList}, summary="List products that are off sale"
)
@allow("operator")
def list_off_sale(query: ProductQuery) -> Response:
    wanted = search.Wanted(**query.model_dump(), active=False)
    return json_response(_page(wanted), Cache_Control="no-store")


@api.get("/products/<int:product_id>", responses={200: ProductShown}, summary="One product")
@allow("public")
def get_product(path: ProductPath) -> Response:
    offer = find_offer(ports(), path.product_id, _token())
    response = _shown(offer)
    response.make_conditional(request)
    return response


@api.get("/products/<int:product_id>/stock", responses={200: StockShown}, summary="Stock check")
@allow("public")
def get_stock(path: ProductPath, query: StockQuery) -> Response:
    offer, rows = _found(
        ports(),
        path.product_id,
        _token(),
        lambda session: stock.levels(session, path.product_id, ports().branch),
    )
    return json_response(
        {
            "product_id": path.product_id,
            "requested": query.quantity,
            "available": offer.product.active and offer.stock.available >= query.quantity,
            "stock": offer.stock.available,
            "branches": [
                {"branch": row.branch, "stock": row.available, "version": row.version}
                for row in rows
            ],
        }
    )


@api.get("/categories", responses={200: CategoryList}, summary="List categories")
@allow("public")
def list_categories(query: Page) -> Response:
    found, cursor = ports().database.read(
        lambda session: search.categories(session, query.limit, query.cursor), _token()
    )
    return json_response(
        {"items": [products.category_document(c) for c in found], "next_cursor": cursor}
    )


@api.post("/products", responses={201: ProductShown}, summary="Add a product")
@allow("operator")
def create_product(body: NewProduct) -> Response:
    offer = ports().database.write(
        lambda session: products.create(session, _branch(), body.model_dump())
    )
    return _written(offer, 201, Location=f"/api/products/{offer.product.id}")


@api.patch("/products/<int:product_id>", responses={200: ProductShown}, summary="Edit a product")
@allow("operator")
def change_product(path: ProductPath, header: IfMatch, body: ProductChanges) -> Response:
    fields = body.model_dump(exclude_unset=True)
    if not fields or None in fields.values():
        raise Unprocessable.field("body", "name at least one field, and no null")
    version = _wanted_version(header.if_match)
    offer = ports().database.write(
        lambda session: products.change(session, _branch(), path.product_id, version, fields)
    )
    return _written(offer)


@api.delete(
    "/products/<int:product_id>", responses={204: None}, summary="Take a product out of the shop"
)
@allow("operator")
def delete_product(path: ProductPath) -> Response:
    ports().database.write(
        lambda session: products.deactivate(session, _branch(), path.product_id), repeatable=True
    )
    return no_content(X_Consistency_Token=ports().database.token())


@api.post("/categories", responses={201: CategoryShown}, summary="Add a category")
@allow("operator")
def create_category(body: NewCategory) -> Response:
    category = ports().database.write(
        lambda session: products.create_category(session, _branch(), body.slug, body.name)
    )
    return json_response(
        products.category_document(category),
        201,
        X_Consistency_Token=ports().database.token(),
    )


@api.post(
    "/products/<int:product_id>/stock-adjustments",
    responses={201: ProductShown},
    summary="Add or take units by hand",
)
@allow("operator")
def adjust_stock(path: ProductPath, body: StockAdjustment) -> Response:
    if body.delta == 0:
        raise Unprocessable.field("delta", "must not be 0")
    offer = ports().database.write(
        lambda session: stock.adjust(session, _branch(), path.product_id, body.delta, body.reason)
    )
    return _written(offer, 201)


@api.get(
    "/products/<int:product_id>/stock-movements",
    responses={200: MovementList},
    summary="The ledger of a product's stock, newest first",
)
@allow("operator")
def list_movements(path: ProductPath, query: Page) -> Response:
    found, cursor = _found(
        ports(),
        path.product_id,
        _token(),
        lambda session: stock.movements(session, path.product_id, query.limit, query.cursor),
    )
    items = [stock.movement_document(movement) for movement in found]
    return json_response({"items": items, "next_cursor": cursor}, Cache_Control="no-store")


def find_offer(at: Ports, product_id: int, token: str | None) -> Offer:
    """A product from wherever it is fresh enough; a miss on a standby is asked of the primary.

    Raises:
        ProductNotFound: there is none.
    """

    return _found(
        at, product_id, token, lambda session: products.find(session, product_id, at.branch)
    )


def _found(
    at: Ports, product_id: int, token: str | None, look: Callable[[Any], Found | None]
) -> Found:
    found = at.database.read(look, token) or at.database.read_primary(look)
    if found is None:
        raise ProductNotFound(f"There is no product {product_id}.")
    return found


def _page(wanted: search.Wanted) -> dict[str, Any]:
    found, cursor = ports().database.read(
        lambda session: search.page(session, ports().branch, wanted), _token()
    )
    items = [offer.document() for offer in found]
    return {"items": items, "next_cursor": cursor}


def _token() -> str | None:
    return request.headers.get(TOKEN_HEADER)


def _branch() -> Branch:
    return Branch(ports().branch, ports().clock)


def _shown(offer: Offer, status: int = 200) -> Response:
    response: Response = json_response(offer.document(), status)
    response.set_etag(offer.etag)
    return response


def _written(offer: Offer, status: int = 200, **headers: str) -> Response:
    response = _shown(offer, status)
    response.headers[TOKEN_HEADER] = ports().database.token()
    response.headers.extend(headers)
    return response


def _wanted_version(if_match: str | None) -> int:
    if if_match is None:
        raise PreconditionRequired("Send the product's ETag as If-Match.")
    version = re.fullmatch(r'"([0-9]{1,15})(?:\.[0-9]{1,15})?"', if_match.strip())
    if version is None:
        raise EditConflict(f"{if_match!r} is not an ETag of this product.")
    return int(version.group(1))
