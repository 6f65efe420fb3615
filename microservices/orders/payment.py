"""The payment port, and the simulated provider behind it.

A provider is asked with the order's id, and does a thing once per id however often it is asked.
A time-out says nothing: the charge may have happened, or may still happen.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Protocol

from chassis.clock import Clock
from chassis.db import Database


class PaymentDeclined(Exception):
    """The provider refused the card for good; nothing was charged."""


class PaymentFailed(Exception):
    """The provider answered with an error; asking again may help."""


class PaymentUnknown(Exception):
    """The provider did not answer in time; the charge may have happened."""


@dataclass(frozen=True)
class Charge:
    """What the provider is asked to take, once per order."""

    order_id: str
    amount_cents: int
    currency: str
    token: str


class PaymentGateway(Protocol):
    """A payment provider. Both calls are idempotent by order id."""

    def charge(self, charge: Charge, timeout: float) -> None:
        """Take the money, waiting at most `timeout` seconds.

        Raises:
            PaymentDeclined, PaymentFailed, PaymentUnknown: see there. A charge of an order that
                was cancelled before is declined.
        """

    def cancel(self, order_id: str) -> bool:
        """Give the money back, or see to it that a charge on its way is refused.

        Returns:
            Whether money had been taken.
        Raises:
            PaymentFailed, PaymentUnknown: could not be asked; ask again.
        """


class SimulatedGateway:
    """A provider of test tokens: tok_ok, tok_declined, tok_error, tok_timeout."""

    def __init__(self, database: Database, clock: Clock) -> None:
        """Keep the provider's own ledger in `simulated_charges`."""
        self._database = database
        self._clock = clock

    def charge(self, charge: Charge, timeout: float) -> None:
        """See `PaymentGateway`; any token it does not know is declined."""
        if charge.token == "tok_error":
            raise PaymentFailed("the provider answered with an error")
        if charge.token == "tok_timeout":
            time.sleep(timeout)
            raise PaymentUnknown("the provider did not answer in time")
        if charge.token != "tok_ok":
            raise PaymentDeclined("the card was declined")
        row = self._database.call(
            """
            INSERT INTO simulated_charges AS c (order_id, amount_cents, currency, state, at)
            VALUES (:order_id, :amount, :currency, 'captured', :now)
            ON CONFLICT (order_id) DO UPDATE SET state = c.state RETURNING state
            """,
            {
                "order_id": charge.order_id,
                "amount": charge.amount_cents,
                "currency": charge.currency,
                "now": self._clock.now(),
            },
            repeatable=True,
        )
        if row[0] != "captured":
            raise PaymentDeclined("the order was cancelled")

    def cancel(self, order_id: str) -> bool:
        """See `PaymentGateway`."""
        row = self._database.call(
            """
            INSERT INTO simulated_charges AS c (order_id, amount_cents, currency, state, at)
            VALUES (:order_id, 0, 'BRL', 'cancelled', :now)
            ON CONFLICT (order_id) DO UPDATE
                SET state = CASE c.state WHEN 'captured' THEN 'refunded' ELSE c.state END
            RETURNING state
            """,
            {"order_id": order_id, "now": self._clock.now()},
            repeatable=True,
        )
        return bool(row[0] == "refunded")
