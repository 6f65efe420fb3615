"""What can go wrong in checkout, with the data that the shopper's client needs."""

from __future__ import annotations

from typing import Any

from chassis.problems import (
    BadRequest,
    Conflict,
    NotFound,
    Problem,
    Unavailable,
    Unprocessable,
)


class OrderNotFound(NotFound):
    slug, title = "order-not-found", "No such order"


class CartNotFound(NotFound):
    slug, title = "cart-not-found", "No such cart"


class CartEmpty(Conflict):
    slug, title = "cart-empty", "The cart is empty"


class CartChanged(Conflict):
    slug, title = "cart-changed", "The cart is not what it was"


class CartAlreadyOrdered(Conflict):
    slug, title = "cart-already-ordered", "This cart was ordered already"


class IdempotencyKeyMissing(BadRequest):
    slug, title = "idempotency-key-missing", "Idempotency-Key is required"


class IdempotencyKeyReused(Unprocessable):
    slug, title = "idempotency-key-reused", "The key was used for another request"


class InProgress(Conflict):
    slug, title = "in-progress", "The same request is still running"

    def __init__(self, detail: str = "", *, retry_after: int = 1) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class StatusConflict(Conflict):
    slug, title = "status-conflict", "The order's status does not allow this"


class CheckoutUnfinished(Unavailable):
    """Nothing is half done for good: the order stays pending until the recovery ends it."""

    slug, title = "checkout-unfinished", "The checkout could not be finished now"

    def __init__(self, detail: str, *, order_id: str, undone: bool) -> None:
        """Say whether the order was `undone` already, or is still to be settled."""
        super().__init__(detail, retry_after=2, order_id=order_id)
        self.undone = undone


class Recorded(Problem):
    """A refusal that was decided before and is answered again, as it was."""

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__(str(document.get("detail", "")))
        self._document = {k: v for k, v in document.items() if k != "instance"}

    @property
    def status(self) -> int:  # type: ignore[override]
        return int(self._document["status"])

    def document(self) -> dict[str, Any]:
        return dict(self._document)


class LeaseLost(InProgress):
    """Another worker took the order over; whatever it does now stands."""
