"""Two more kinds of people in the shop: who all want the same thing, and who need not wait."""

from __future__ import annotations

import time

from locust import task

from loadtests.shopping import Shopper, require

# Until an asynchronous order has to be over.
SETTLE_SECONDS = 60.0
_LOOK_SECONDS = 0.5
_OVER = ("confirmed", "failed", "cancelled")


class FlashShopper(Shopper):
    """Wants what everybody wants: the product that the list begins with."""

    weight = 1

    @task
    def rush(self) -> None:
        if not self.headers:
            self.join()
        path = "/api/products?in_stock=true&sort=price&limit=1"
        with self.asking("flash: list", "GET", path) as found:
            require(len(found["items"]) == 1, "nothing is for sale")
        cart = self.add(self.open_cart(), found["items"][0], 1)
        with self.place(cart, "flash: place", expect=201) as order:
            require(order["status"] == "confirmed", f"the order is {order['status']}")


class AsyncBuyer(Shopper):
    """Leaves an order and looks in on it until it is over."""

    weight = 1

    @task
    def leave_an_order(self) -> None:
        if not self.headers:
            self.join()
        product = self.choose()[0]
        self.think()
        cart = self.add(self.open_cart(), product, 1)
        began = time.monotonic()
        later = {"Prefer": "respond-async"}
        with self.place(cart, "async: place", expect=202, headers=later) as order:
            require(order["status"] == "pending", f"the order is {order['status']}")
        status = self._wait_for(order["id"])
        # Not a request: how long it took in all.
        self.environment.events.request.fire(
            request_type="WAIT",
            name=f"settled: {status}",
            response_time=(time.monotonic() - began) * 1000,
            response_length=0,
            exception=None if status in _OVER else TimeoutError(f"still {status}"),
            context={},
        )

    def _wait_for(self, order_id: str) -> str:
        """Its last status, or the one that it has when the patience ends."""
        limit = time.monotonic() + SETTLE_SECONDS
        while True:
            time.sleep(_LOOK_SECONDS)
            with self.asking("async: order", "GET", f"/api/orders/{order_id}") as order:
                require(order["id"] == order_id, "another order")
            if order["status"] in _OVER or time.monotonic() > limit:
                return str(order["status"])
