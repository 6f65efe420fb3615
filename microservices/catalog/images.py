"""Pictures of products, drawn on demand; the gateway caches them."""

from __future__ import annotations

from flask import Blueprint, Response

from catalog.demo import pictures
from catalog.demo.products import PRODUCTS
from chassis.auth import allow

pages = Blueprint("images", __name__)
BY_SKU = {product.sku: product for product in PRODUCTS}


@pages.get("/images/<sku>.svg")
@allow("public")
def picture(sku: str) -> Response:
    """The demo shop's own picture, or a neutral one for any other product."""
    product = BY_SKU.get(sku)
    drawing = pictures.draw(product) if product else pictures.placeholder(sku[:32])
    response = Response(drawing, mimetype="image/svg+xml")
    response.headers["Cache-Control"] = "public, max-age=86400"
    response.headers["Content-Security-Policy"] = "default-src 'none'; style-src 'unsafe-inline'"
    response.add_etag()
    return response
