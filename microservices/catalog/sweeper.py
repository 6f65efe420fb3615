"""Ends holds that outlived their time, but only when orders says what became of the order.

No answer from orders: the hold stays and shows in /status. Giving stock back that was sold would
be worse than holding some for longer.
"""

from __future__ import annotations

import structlog
from sqlalchemy import select

from catalog import reservations
from catalog.models import Reservation
from catalog.ports import Ports
from catalog.problems import ReservationReleased
from chassis.problems import Unavailable

BATCH = 50
CALL_SECONDS = 3.0

log = structlog.get_logger()


def sweep(ports: Ports) -> bool:
    """Settle one batch of expired holds; True when there may be more."""
    expired = ports.database.read_primary(
        lambda session: list(
            session.scalars(
                select(Reservation.id)
                .where(Reservation.state == "held", Reservation.expires_at < ports.clock.now())
                .order_by(Reservation.expires_at)
                .limit(BATCH)
            )
        )
    )
    settled = [_settle(ports, reservation_id) for reservation_id in expired]
    return len(expired) == BATCH and all(settled)


def _settle(ports: Ports, reservation_id: str) -> bool:
    verdict = _ask(ports, reservation_id)
    if verdict == "commit":
        try:
            reservations.commit(ports, reservation_id)
        except ReservationReleased:
            log.error("sold_reservation_was_released", reservation=reservation_id)
    elif verdict == "release":
        reservations.release(ports, reservation_id, only_held=True)
    log.info("expired_reservation", reservation=reservation_id, verdict=verdict or "no answer")
    return verdict in ("commit", "release")


def _ask(ports: Ports, order_id: str) -> str | None:
    try:
        answer = ports.orders.call(
            "GET",
            f"/internal/orders/{order_id}",
            seconds=CALL_SECONDS,
            repeatable=True,
        )
    except Unavailable:
        return None
    if answer.status == 200:
        verdict: str = answer.body["reservation"]
        return verdict
    return "release" if answer.status == 404 else None
