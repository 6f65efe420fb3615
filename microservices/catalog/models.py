"""The catalog's tables. Migrations make them; a test compares the two.

`stock.available` always equals the sum of its movements, and a row is written only by its own
branch; rows of other branches are copies (`replica`) of what those said last. Reservations hold
their lines as a document: they are read and written as a whole.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Computed, ForeignKey, Identity, Index, Text
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP, TSVECTOR
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

Timestamp = TIMESTAMP(timezone=True)


class Base(DeclarativeBase):
    """Base of the catalog's tables."""


class Category(Base):
    __tablename__ = "categories"

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    slug: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text, unique=True)


class Product(Base):
    __tablename__ = "products"
    __table_args__ = (
        CheckConstraint("price_cents >= 0", name="products_price_not_negative"),
        Index("products_by_name", "name_key", "id"),
        Index("products_by_price", "price_cents", "id"),
        Index("products_by_category", "category_id", "name_key", "id"),
        Index("products_search", "search", postgresql_using="gin"),
        Index("products_off_sale", "name_key", "id", postgresql_where="NOT active"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    sku: Mapped[str] = mapped_column(Text, unique=True)
    name: Mapped[str] = mapped_column(Text)
    description: Mapped[str] = mapped_column(Text)
    category_id: Mapped[int] = mapped_column(ForeignKey("categories.id"))
    price_cents: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Text, server_default="BRL")
    image_url: Mapped[str] = mapped_column(Text)
    active: Mapped[bool] = mapped_column(server_default="true")
    version: Mapped[int] = mapped_column(BigInteger, server_default="1")
    name_key: Mapped[str] = mapped_column(Text, Computed("fold(name)"))
    search: Mapped[Any] = mapped_column(
        TSVECTOR, Computed("search_vector(name, description)"), deferred=True
    )

    category: Mapped[Category] = relationship(lazy="raise")


class Stock(Base):
    __tablename__ = "stock"
    __table_args__ = (CheckConstraint("available >= 0", name="stock_not_negative"),)

    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"), primary_key=True)
    branch: Mapped[str] = mapped_column(Text, primary_key=True)
    available: Mapped[int] = mapped_column(BigInteger)
    version: Mapped[int] = mapped_column(BigInteger, server_default="1")
    replica: Mapped[bool] = mapped_column(server_default="false")
    epoch: Mapped[int] = mapped_column(BigInteger, server_default="0")
    sent: Mapped[int] = mapped_column(BigInteger, server_default="0")
    received: Mapped[int] = mapped_column(BigInteger, server_default="0")


class StockMovement(Base):
    __tablename__ = "stock_movements"
    __table_args__ = (
        CheckConstraint(
            "kind IN ('supply', 'adjust', 'reserve', 'release', 'return', 'transfer')",
            name="stock_movements_kind",
        ),
        CheckConstraint("delta <> 0", name="stock_movements_moves"),
        Index("stock_movements_of_product", "product_id", "branch", "id"),
    )

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    product_id: Mapped[int] = mapped_column(BigInteger)
    branch: Mapped[str] = mapped_column(Text)
    delta: Mapped[int] = mapped_column(BigInteger)
    kind: Mapped[str] = mapped_column(Text)
    reference: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Timestamp)


class StockTransfer(Base):
    """Units on their way from one branch to another, as this end knows it."""

    __tablename__ = "stock_transfers"
    __table_args__ = (
        CheckConstraint("quantity > 0", name="stock_transfers_moves"),
        CheckConstraint("state IN ('sent', 'received')", name="stock_transfers_state"),
        Index("stock_transfers_in_transit", "from_branch", postgresql_where="state = 'sent'"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    sku: Mapped[str] = mapped_column(Text)
    from_branch: Mapped[str] = mapped_column(Text)
    to_branch: Mapped[str] = mapped_column(Text)
    quantity: Mapped[int] = mapped_column(BigInteger)
    state: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Timestamp)


class ClosedStock(Base):
    """What a branch that was set back believed to have when it closed (see `rejoin`)."""

    __tablename__ = "closed_stock"

    product_id: Mapped[int] = mapped_column(ForeignKey("products.id"), primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger)
    available: Mapped[int] = mapped_column(BigInteger)
    sent: Mapped[int] = mapped_column(BigInteger)
    received: Mapped[int] = mapped_column(BigInteger)
    held: Mapped[int] = mapped_column(BigInteger)


class Reservation(Base):
    __tablename__ = "reservations"
    __table_args__ = (
        CheckConstraint("state IN ('held', 'committed', 'released')", name="reservations_state"),
        Index("reservations_held", "expires_at", postgresql_where="state = 'held'"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    branch: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    lines: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    expires_at: Mapped[datetime] = mapped_column(Timestamp)
    settled_at: Mapped[datetime | None] = mapped_column(Timestamp)
