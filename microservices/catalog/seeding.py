"""Loads the demo shop."""

from __future__ import annotations

from sqlalchemy import select
from sqlalchemy.orm import Session

from catalog import products
from catalog.demo.products import CATEGORIES, PRODUCTS
from catalog.models import Category, Product
from catalog.ports import Ports
from catalog.products import Branch
from chassis.replication.shared import FIRST


def seed(ports: Ports) -> int:
    """Add what is missing of the demo shop, in one transaction; how many products that were."""
    return ports.database.write(lambda session: _seed(session, Branch(ports.branch, ports.clock)))


def _seed(session: Session, branch: Branch) -> int:
    by_slug = {category.slug: category for category in session.scalars(select(Category))}
    for wanted in CATEGORIES:
        if wanted.slug not in by_slug:
            by_slug[wanted.slug] = products.create_category(
                session, branch, wanted.slug, wanted.name, FIRST
            )
    known = set(session.scalars(select(Product.sku)))
    missing = [product for product in PRODUCTS if product.sku not in known]
    for product in missing:
        fields = {
            "sku": product.sku,
            "name": product.name,
            "description": product.description,
            "category_id": by_slug[product.category_slug].id,
            "price_cents": product.price_cents,
            "stock": product.stock,
            "image_url": f"/images/{product.sku}.svg",
        }
        products.create(session, branch, fields, FIRST)
    return len(missing)
