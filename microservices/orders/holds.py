"""Stock of an order at the catalog: held and given back, whatever state the catalog is in.

A catalog that says 503 lives and waits for its database, as in a failover: it is asked again for as
long as the shopper can wait. One that says nothing costs each shopper the whole time-out: after a
few it is left alone for a while, and checkouts are refused at once.
"""

from __future__ import annotations

import random

from chassis import deadline
from chassis.breaker import Breaker
from chassis.http_client import Answer, NotNow, ServiceClient, Unreachable
from chassis.postgres import Backoff
from orders.order import Order
from orders.settings import Settings

# Kept back of a checkout's time, to write down what became of it.
CLOSING_SECONDS = 0.5


class Holds:
    """The catalog's reservations, each under its order's id. Both calls may be repeated."""

    def __init__(self, settings: Settings, catalog: ServiceClient) -> None:
        """Nothing connects before the first call."""
        self._settings = settings
        self.catalog = catalog
        self.breaker = Breaker(
            catalog.name,
            failures=settings.reserve_breaker_failures,
            reset_seconds=settings.reserve_breaker_seconds,
            no_failure=(NotNow,),
        )

    def reserve(self, order: Order) -> Answer:
        """Hold what the order wants.

        Raises:
            Unreachable: nothing was asked; `LeftAlone` when that is because of its silence.
            NoAnswer: it did not answer in time; the hold may come about yet.
            OutcomeUnknown: it could not say; the hold may be there.
        """
        lines = [{"product_id": i["product_id"], "quantity": i["quantity"]} for i in order.items]
        ttl = self._settings.reservation_ttl_seconds
        body = {"id": order.id, "items": lines, "ttl_seconds": ttl}
        return self._patiently("POST", "/api/reservations", body)

    def release(self, order_id: str) -> Answer:
        """Give back what is held or was sold, and refuse a hold that has yet to arrive.

        Raises:
            Unreachable, OutcomeUnknown: see `reserve`; to be tried again later.
        """
        return self._patiently("DELETE", f"/api/reservations/{order_id}")

    def _patiently(self, method: str, path: str, body: object = None) -> Answer:
        with deadline.within(max(0.0, deadline.remaining() - CLOSING_SECONDS)):
            backoff = Backoff(self._settings.reserve_wait_seconds, first=0.05)
            unknown: NotNow | None = None
            while True:
                try:
                    return self._ask(method, path, body)
                except Unreachable as error:
                    # What was sent before this try may have had its effect.
                    raise unknown or error from error
                except NotNow as error:
                    unknown = error
                    if not backoff.wait(random.random):
                        raise

    def _ask(self, method: str, path: str, body: object) -> Answer:
        def ask() -> Answer:
            return self.catalog.call(
                method,
                path,
                body=body,
                seconds=self._settings.reserve_wait_seconds,
                repeatable=True,
            )

        return self.breaker.call(ask)
