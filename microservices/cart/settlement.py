"""What orders' events do to carts: a confirmed order takes out what it bought."""

from __future__ import annotations

import structlog

from cart import carts
from cart.ports import Ports
from chassis.events import Event

log = structlog.get_logger()


def on_order_event(ports: Ports, event: Event) -> None:
    """Empty the cart of what a newly confirmed order bought; repeating it changes nothing.

    The cart of an order that failed or was cancelled is kept as it is.
    """
    if event.type != "order.status_changed" or event.data["status"] != "confirmed":
        return
    cart_id = event.data.get("cart_id")
    if cart_id is None:
        return
    bought = {item["product_id"]: item["quantity"] for item in event.data["items"]}
    done = carts.take_out(ports, cart_id, event.data["id"], bought)
    log.info("cart_settled", order=event.data["id"], done=done)
