"""What an Idempotency-Key stands for: one wish to buy, claimed by one INSERT, and its answer.

The statement is `open_order` in `migrations/sql/`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import select

from chassis import correlation
from chassis.ids import new_id
from orders.history import dumps
from orders.models import IdempotencyKey
from orders.order import Order
from orders.ports import Ports
from orders.problems import (
    CartAlreadyOrdered,
    IdempotencyKeyReused,
    InProgress,
    Recorded,
)

ROUTE = "POST /api/orders"


@dataclass(frozen=True)
class PlaceOrder:
    """A customer's wish to buy a cart.

    Attributes:
        user_id, key: whose key, and which.
        body: the request's body, for comparing it with the one the key was first used for.
    """

    user_id: str
    key: str
    body: dict[str, Any]

    @property
    def id(self) -> str:
        """The same for every request of this key, and it tells nothing of the key."""
        return hashlib.sha256(json.dumps([self.user_id, ROUTE, self.key]).encode()).hexdigest()

    @property
    def body_hash(self) -> str:
        """SHA-256 of the body as canonical JSON (sorted keys, no spaces)."""
        canonical = json.dumps(self.body, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()


@dataclass(frozen=True)
class Placed:
    """The answer: the order's document, and the catalog's consistency tokens if stock moved now.

    Its status is 201, or 202 when a worker does the checkout.
    """

    document: dict[str, Any]
    catalog_tokens: list[str]
    status: int = 201


def find(ports: Ports, wish: PlaceOrder) -> dict[str, Any] | None:
    """What the key stands for: {order_id, body_hash, status, body}, or None if it is new."""
    oldest = ports.clock.now() - timedelta(hours=ports.settings.idempotency_hours)
    row = ports.database.read_primary(
        lambda session: session.scalars(
            select(IdempotencyKey).where(
                IdempotencyKey.user_id == wish.user_id,
                IdempotencyKey.route == ROUTE,
                IdempotencyKey.key == wish.key,
            )
        ).one_or_none()
    )
    if row is None or (row.status is not None and row.created_at < oldest):
        return None
    return {
        "order_id": row.order_id,
        "body_hash": row.body_hash,
        "status": row.status,
        "body": row.body,
    }


def answered(wish: PlaceOrder, known: dict[str, Any]) -> Placed | None:
    """What a key was answered with, or None when its request has no answer yet.

    Raises:
        IdempotencyKeyReused: the key stands for another body.
        Recorded: the answer was a refusal.
    """
    if known["body_hash"] != wish.body_hash:
        raise IdempotencyKeyReused("This Idempotency-Key was used with another body.")
    if known["status"] is None:
        return None
    document = json.loads(known["body"])
    if known["status"] in (201, 202):
        return Placed(document, [], known["status"])
    raise Recorded(document)


def claim(
    ports: Ports,
    wish: PlaceOrder,
    opening: dict[str, Any],
    log: list[dict[str, Any]],
    event: str,
    order: Order,
) -> dict[str, Any]:
    """Claim the key and open the order, in one statement.

    Args:
        opening: the order's columns, and `answer` if the key is answered now.
        log: the first lines of the saga's log.
        event: type of the event that tells of the order.

    Returns:
        {"outcome": "claimed"}, or "known" with what the key stands for already.

    Raises:
        InProgress: another request of this key is being decided in this moment.
        CartAlreadyOrdered: the cart as it stands was bought, or is just being bought.
    """
    now = order.created_at
    row = ports.database.call(
        "SELECT open_order(CAST(:order AS jsonb), :route, :key, :hash, CAST(:log AS jsonb),"
        " CAST(:events AS jsonb), :now, :lease, :oldest)" + correlation.SET,
        {
            "order": dumps(opening),
            "route": ROUTE,
            "key": wish.key,
            "hash": wish.body_hash,
            "log": dumps(log),
            "events": dumps([{"id": new_id(), "type": event, "data": order.event_data()}]),
            "now": now,
            "lease": order.lease_until,
            "oldest": now - timedelta(hours=ports.settings.idempotency_hours),
            "context": correlation.dumped(),
        },
        repeatable=True,
    )
    result: dict[str, Any] = row[0]
    if result["outcome"] == "busy":
        raise InProgress
    if result["outcome"] == "cart-taken":
        raise CartAlreadyOrdered("An order of this cart, as it stands, is under way or done.")
    return result
