"""The tables of checkout and orders; accounts are in `account_models`."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Identity, Index, Text, UniqueConstraint
from sqlalchemy.dialects.postgresql import JSONB, TIMESTAMP
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

Timestamp = TIMESTAMP(timezone=True)


class Base(DeclarativeBase):
    """Base of orders' tables."""


class OrderRow(Base):
    """An order and where its saga stands.

    `status` is what the customer sees; `step` is what is to be done next. Whoever works on an
    order holds its lease, and every write is fenced by `version`. `queued_at` is when an
    asynchronous order was last given to the workers' queue, and null for a synchronous one; such
    an order has no `cart_version` until its cart was read, unless its customer named one.
    """

    __tablename__ = "orders"
    __table_args__ = (
        CheckConstraint(
            "status IN ('pending', 'reserved', 'paid', 'confirmed', 'preparing', 'shipped',"
            " 'delivered', 'cancelled', 'failed')",
            name="orders_status",
        ),
        CheckConstraint(
            "step IN ('validate', 'reserve', 'pay', 'compensate', 'done')", name="orders_step"
        ),
        CheckConstraint("total_cents >= 0", name="orders_total_not_negative"),
        Index("orders_of_user", "user_id", "id"),
        Index("orders_by_status", "status", "id"),
        Index("orders_unfinished", "retry_at", postgresql_where="step <> 'done'"),
        Index("orders_queued", "id", postgresql_where="step <> 'done' AND queued_at IS NOT NULL"),
        Index("orders_waiting", "id", postgresql_where="step = 'validate'"),
        # A cart is bought once as it stands, however many keys a client makes up.
        Index(
            "orders_once_per_cart",
            "cart_id",
            "cart_version",
            unique=True,
            postgresql_where="status NOT IN ('failed', 'cancelled')",
        ),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    user_id: Mapped[str] = mapped_column(Text)
    status: Mapped[str] = mapped_column(Text)
    step: Mapped[str] = mapped_column(Text)
    cart_id: Mapped[str] = mapped_column(Text)
    cart_version: Mapped[int | None] = mapped_column(BigInteger)
    items: Mapped[list[dict[str, Any]]] = mapped_column(JSONB)
    total_cents: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Text)
    payment: Mapped[dict[str, Any]] = mapped_column(JSONB)
    shipping_address: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    failure: Mapped[dict[str, Any] | None] = mapped_column(JSONB)
    version: Mapped[int] = mapped_column(BigInteger)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    updated_at: Mapped[datetime] = mapped_column(Timestamp)
    lease_until: Mapped[datetime] = mapped_column(Timestamp)
    retry_at: Mapped[datetime] = mapped_column(Timestamp)
    queued_at: Mapped[datetime | None] = mapped_column(Timestamp)
    context: Mapped[dict[str, str] | None] = mapped_column(JSONB)


class SagaLog(Base):
    __tablename__ = "saga_log"
    __table_args__ = (Index("saga_log_of_order", "order_id", "id"),)

    id: Mapped[int] = mapped_column(BigInteger, Identity(always=True), primary_key=True)
    order_id: Mapped[str] = mapped_column(Text)
    step: Mapped[str] = mapped_column(Text)
    outcome: Mapped[str] = mapped_column(Text)
    attempt: Mapped[int] = mapped_column(BigInteger)
    at: Mapped[datetime] = mapped_column(Timestamp)
    detail: Mapped[str] = mapped_column(Text)


class Payment(Base):
    __tablename__ = "payments"
    __table_args__ = (
        CheckConstraint("state IN ('captured', 'refunded')", name="payments_state"),
        CheckConstraint("amount_cents >= 0", name="payments_not_negative"),
    )

    order_id: Mapped[str] = mapped_column(Text, primary_key=True)
    amount_cents: Mapped[int] = mapped_column(BigInteger)
    currency: Mapped[str] = mapped_column(Text)
    state: Mapped[str] = mapped_column(Text)
    at: Mapped[datetime] = mapped_column(Timestamp)


class IdempotencyKey(Base):
    """One use of an Idempotency-Key; the answer is there once the outcome is final."""

    __tablename__ = "idempotency_keys"
    __table_args__ = (Index("idempotency_keys_by_age", "created_at"),)

    user_id: Mapped[str] = mapped_column(Text, primary_key=True)
    route: Mapped[str] = mapped_column(Text, primary_key=True)
    key: Mapped[str] = mapped_column(Text, primary_key=True)
    body_hash: Mapped[str] = mapped_column(Text)
    order_id: Mapped[str] = mapped_column(Text, unique=True)
    status: Mapped[int | None] = mapped_column(BigInteger)
    body: Mapped[str | None] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Timestamp)


class Mail(Base):
    """A mail that an event called for; the key makes the event's second coming no second mail."""

    __tablename__ = "mails"
    __table_args__ = (
        CheckConstraint("kind IN ('confirmed', 'cancelled')", name="mails_kind"),
        UniqueConstraint("order_id", "kind", name="mails_once"),
        Index("mails_due", "due_at", postgresql_where="sent_at IS NULL"),
        Index("mails_by_age", "sent_at", postgresql_where="sent_at IS NOT NULL"),
    )

    event_id: Mapped[str] = mapped_column(Text, primary_key=True)
    order_id: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    created_at: Mapped[datetime] = mapped_column(Timestamp)
    due_at: Mapped[datetime] = mapped_column(Timestamp)
    attempts: Mapped[int] = mapped_column(BigInteger, server_default="0")
    sent_at: Mapped[datetime | None] = mapped_column(Timestamp)
