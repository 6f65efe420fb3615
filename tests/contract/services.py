"""The three services as this process builds them: their routes and documents, nothing running."""

from __future__ import annotations

import base64
import functools
from typing import Any

from flask_openapi3 import OpenAPI

import cart.app
import cart.settings
import catalog.app
import catalog.settings
import orders.app
import orders.settings

NOWHERE = "http://127.0.0.1:1"
DATABASE = "postgresql://nobody@127.0.0.1:1/none"
REDIS = "redis://127.0.0.1:1/0"


@functools.cache
def apps() -> dict[str, OpenAPI]:
    """The Flask app of each service by its name. Nothing connects before the first request."""
    common: dict[str, Any] = {"service_token": "t" * 32, "event_bus_url": REDIS}
    return {
        "catalog": catalog.app.create_app(
            catalog.settings.Settings(catalog_database_url=DATABASE, orders_url=NOWHERE, **common)
        ),
        "cart": cart.app.create_app(
            cart.settings.Settings(cart_redis_url=REDIS, catalog_url=NOWHERE, **common)
        ),
        "orders": orders.app.create_app(
            orders.settings.Settings(
                orders_database_url=DATABASE,
                catalog_url=NOWHERE,
                cart_url=NOWHERE,
                jwt_private_key=base64.urlsafe_b64encode(bytes(32)).decode(),
                **common,
            )
        ),
    }


def document(service: str) -> dict[str, Any]:
    """The OpenAPI document of a service."""
    described: dict[str, Any] = apps()[service].api_doc
    return described
