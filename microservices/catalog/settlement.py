"""What orders' events do to reservations: a confirmed order sells what it holds."""

from __future__ import annotations

import structlog

from catalog import reservations
from catalog.ports import Ports
from catalog.problems import ReservationNotFound, ReservationReleased
from chassis.events import Event

log = structlog.get_logger()


def on_order_event(ports: Ports, event: Event) -> None:
    """Settle the reservation that an order's new status is about; repeating it is fine.

    A cancelled or failed order released its reservation itself, before its status changed to
    that for good; here it is only made sure.
    """
    if event.type != "order.status_changed":
        return
    order_id, status = event.data["id"], event.data["status"]
    if status == "confirmed":
        try:
            reservations.commit(ports, order_id)
        except (ReservationNotFound, ReservationReleased):
            # The order was cancelled before this event arrived.
            log.info("nothing_to_commit", order=order_id)
    elif status in ("cancelled", "failed"):
        reservations.release(ports, order_id)
