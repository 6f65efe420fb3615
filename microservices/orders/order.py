"""An order as a value: what the saga reads and changes, and what customers and events see."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from sqlalchemy import Row

from chassis.clock import rfc3339
from orders.models import OrderRow


@dataclass(frozen=True)
class Order:
    """An immutable snapshot of an order; `version` counts its changes."""

    id: str
    user_id: str
    status: str
    step: str
    cart_id: str
    cart_version: int | None
    items: list[dict[str, Any]]
    total_cents: int
    currency: str
    payment: dict[str, Any]
    shipping_address: dict[str, Any] | None
    failure: dict[str, Any] | None
    version: int
    created_at: datetime
    lease_until: datetime
    queued_at: datetime | None = None
    # Of the request that opened it; the database puts it there.
    context: dict[str, str] | None = None

    @classmethod
    def of(cls, row: OrderRow | Row[Any]) -> Self:
        """The snapshot of a row, loaded as such or returned by a statement."""
        return cls(**{name: getattr(row, name) for name in cls.__dataclass_fields__})

    def after(self, changes: dict[str, Any]) -> Self:
        """The snapshot after `changes`, one version on."""
        known = {k: v for k, v in changes.items() if k in self.__dataclass_fields__}
        return replace(self, version=self.version + 1, **known)

    @property
    def asynchronous(self) -> bool:
        """Whether nobody waits for its checkout: a worker does it, and may take its time."""
        return self.queued_at is not None

    def problem(self) -> dict[str, Any] | None:
        """Why it failed, as a problem document."""
        if self.status != "failed" or self.failure is None:
            return None
        return {k: v for k, v in self.failure.items() if k not in ("final", "instance")}

    def document(self) -> dict[str, Any]:
        """The order as the contract shows it; `failure` only when it failed."""
        failure = self.problem()
        shown = {
            "id": self.id,
            "status": self.status,
            "items": self.items,
            "total_cents": self.total_cents,
            "currency": self.currency,
            "created_at": rfc3339(self.created_at),
            "version": self.version,
            "shipping_address": self.shipping_address,
        }
        return shown | {"failure": failure} if failure else shown

    def event_data(self) -> dict[str, Any]:
        """The snapshot that events carry; addresses and payments stay here."""
        return {
            "id": self.id,
            "status": self.status,
            "user_id": self.user_id,
            "cart_id": self.cart_id,
            "items": self.items,
            "total_cents": self.total_cents,
            "currency": self.currency,
            "created_at": rfc3339(self.created_at),
            "version": self.version,
        }
