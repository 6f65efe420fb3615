"""What orders' events do to reservations: a confirmed order sells what it holds."""

from __future__ import annotations

import structlog

from catalog.ports import Ports
from catalog.reservations import MOST_LINES
from chassis import correlation
from chassis.events import Event
from chassis.ids import new_id

log = structlog.get_logger()


def on_order_event(ports: Ports, event: Event) -> None:
    """Settle the reservation that an order's new status is about; repeating it changes nothing.

    A cancelled or failed order released its reservation itself, before its status changed to
    that for good; here it is only made sure.
    """
    if event.type != "order.status_changed":
        return
    order_id, status = event.data["id"], event.data["status"]
    if status not in ("confirmed", "cancelled", "failed"):
        return
    row = ports.database.call(
        "SELECT settle_reservation(:event, :lamport, :id, :status, :branch, :now, :events)"
        + correlation.SET,
        {
            "event": event.id,
            "lamport": event.lamport,
            "id": order_id,
            "status": status,
            "branch": ports.branch,
            "now": ports.clock.now(),
            # For the lines that go back into stock.
            "events": [] if status == "confirmed" else [new_id() for _ in range(MOST_LINES)],
            "context": correlation.dumped(),
        },
        repeatable=True,
    )
    # A confirmed order that was cancelled before this event arrived has nothing to sell any more.
    log.info("reservation_settled", order=order_id, status=status, found=row[0])
