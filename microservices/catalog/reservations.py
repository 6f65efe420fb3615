"""Reservations: stock held for an order until it is sold or given back.

The guard is the row lock of the stock, taken inside one SQL function (see
`migrations/sql/stock_functions_0008.sql`). Every operation is keyed by the order's id and may
come twice, late or in any order.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from catalog import rebalance
from catalog.ports import Ports
from catalog.problems import (
    InsufficientStock,
    ReservationMismatch,
    ReservationNotFound,
    ReservationReleased,
)
from chassis import correlation
from chassis.ids import new_id
from chassis.metrics import STOCK_CONFLICTS

MOST_LINES = 100


@dataclass(frozen=True)
class Line:
    """So many units of a product."""

    product_id: int
    quantity: int


def reserve(
    ports: Ports, reservation_id: str, lines: list[Line], ttl_seconds: int
) -> dict[str, Any]:
    """Hold stock for all lines or for none, with the prices that the order will be charged.

    A branch that runs short asks its peers first, if it is set to (see `rebalance`).

    Args:
        reservation_id: the order's id; the same id again gets the same answer.
        lines: each product once.
        ttl_seconds: after that the sweeper asks what became of the order.

    Raises:
        InsufficientStock: names every line that falls short; nothing is held.
        ReservationReleased: it was released before (perhaps before this call arrived).
        ReservationMismatch: the id is known with other items.
    """
    try:
        return _reserve(ports, reservation_id, lines, ttl_seconds)
    except InsufficientStock as short:
        if not rebalance.fetch(ports, short.extra["lines"]):
            raise
    return _reserve(ports, reservation_id, lines, ttl_seconds)


def _reserve(
    ports: Ports, reservation_id: str, lines: list[Line], ttl_seconds: int
) -> dict[str, Any]:
    now = ports.clock.now()
    wanted = [{"product_id": line.product_id, "quantity": line.quantity} for line in lines]
    row = ports.database.call(
        "SELECT reserve_stock(:id, :branch, CAST(:wanted AS jsonb), :expires, :now, :events)"
        + correlation.SET,
        {
            "id": reservation_id,
            "branch": ports.branch,
            "wanted": json.dumps(wanted),
            "expires": now + timedelta(seconds=ttl_seconds),
            "now": now,
            "events": [new_id() for _ in lines],
            "context": correlation.dumped(),
        },
        repeatable=True,
    )
    result: dict[str, Any] = row[0]
    if result["outcome"] == "held":
        return {
            "id": reservation_id,
            "state": result["state"],
            "lines": result["lines"],
            "expires_at": result["expires_at"],
        }
    if result["outcome"] == "short":
        STOCK_CONFLICTS.inc()
        raise InsufficientStock(result["short"])
    if result["outcome"] == "released":
        raise ReservationReleased(f"Reservation {reservation_id} was released.")
    raise ReservationMismatch(f"Reservation {reservation_id} holds other items.")


def commit(ports: Ports, reservation_id: str) -> None:
    """Turn a hold into a sale; repeating it is fine.

    Raises:
        ReservationNotFound: nothing was ever held under this id.
        ReservationReleased: it was released; nothing is sold.
    """
    row = ports.database.call(
        "SELECT commit_stock(:id, :now)",
        {"id": reservation_id, "now": ports.clock.now()},
        repeatable=True,
    )
    if row[0] is None:
        raise ReservationNotFound(f"There is no reservation {reservation_id}.")
    if row[0] == "released":
        raise ReservationReleased(f"Reservation {reservation_id} was released.")


def release(ports: Ports, reservation_id: str, *, only_held: bool = False) -> str:
    """Give the stock back once, whether it was held or sold; repeating it is fine.

    An unknown id leaves a tombstone, so a reserve that is still on its way is refused.

    Args:
        reservation_id: the order's id.
        only_held: leave a sale alone (for the sweeper, which only ends holds).

    Returns:
        The state that was found: `held`, `committed`, `released` or `none`.
    """
    row = ports.database.call(
        "SELECT release_stock(:id, :branch, :only_held, :now, :events)" + correlation.SET,
        {
            "id": reservation_id,
            "branch": ports.branch,
            "only_held": only_held,
            "now": ports.clock.now(),
            "events": [new_id() for _ in range(MOST_LINES)],
            "context": correlation.dumped(),
        },
        repeatable=True,
    )
    state: str = row[0]
    return state
