"""What can go wrong in the catalog, with the data that the caller needs."""

from __future__ import annotations

from typing import Any

from chassis.problems import Conflict, NotFound, Problem


class ProductNotFound(NotFound):
    slug, title = "product-not-found", "No such product"


class CategoryNotFound(NotFound):
    slug, title = "category-not-found", "No such category"


class InsufficientStock(Conflict):
    """Lists every line that falls short: `{product_id, requested, available}`."""

    slug, title = "insufficient-stock", "Not enough in stock"

    def __init__(self, lines: list[dict[str, Any]]) -> None:
        named = ", ".join(str(line["product_id"]) for line in lines)
        super().__init__(f"Not enough in stock of product {named}.", lines=lines)


class AlreadyExists(Conflict):
    slug, title = "already-exists", "Already exists"


class EditConflict(Problem):
    """Somebody else's edit came first; `version` is the current one."""

    status, slug, title = 412, "edit-conflict", "The product was changed in between"


class PreconditionRequired(Problem):
    status, slug, title = 428, "precondition-required", "If-Match is required"


class ReservationNotFound(NotFound):
    slug, title = "reservation-not-found", "No such reservation"


class ReservationReleased(Conflict):
    slug, title = "reservation-released", "The reservation was released"


class ReservationMismatch(Conflict):
    slug, title = "reservation-mismatch", "The reservation exists with other items"


class TransferMismatch(Conflict):
    slug, title = "transfer-mismatch", "The transfer exists with other units"


class UnknownBranch(NotFound):
    slug, title = "branch-not-found", "No such branch"
