"""The plain Flask that the services are compared with: same threads, same driver, same pool."""

from __future__ import annotations

from typing import Any

from flask import Flask
from sqlalchemy import text

from catalog.settings import Settings
from chassis.db import Database

PRODUCT = text("SELECT id, sku, name, price_cents FROM products WHERE id = :id")


def create_app() -> Flask:
    """Two routes: one says hello, the other reads one row by its primary key, where reads go."""
    settings = Settings.load()
    app = Flask(__name__)
    database = Database(
        "bare",
        settings.catalog_database_url,
        pool_size=settings.catalog_pool_size,
        wait_seconds=settings.database_wait_seconds,
        application_name=settings.instance,
    )

    @app.get("/hello")
    def hello() -> dict[str, str]:
        return {"hello": "world"}

    @app.get("/products/<int:product_id>")
    def product(product_id: int) -> dict[str, Any]:
        with database.reader.connect() as connection:
            return dict(connection.execute(PRODUCT, {"id": product_id}).mappings().one())

    return app
