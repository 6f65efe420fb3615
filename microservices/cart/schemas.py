"""Request and response shapes of the cart."""

from __future__ import annotations

from typing import Any

from flask import request
from pydantic import ConfigDict, Field, model_validator

from cart.carts import CART_ID
from chassis.schemas import TOP_ID, Body, Id, Parameters, Quantity, Shown


class CartPath(Parameters):
    # Not checked here: an id that cannot be is answered like one that is not, with a 404.
    cart_id: str = Field(
        description="Whoever knows it owns the cart.", json_schema_extra={"pattern": CART_ID}
    )


class ItemPath(CartPath):
    product_id: int = Field(ge=1, le=TOP_ID)


class NewCart(Body):
    """Nothing: a cart begins empty. The body may be left out."""

    model_config = ConfigDict(
        strict=True,
        extra="forbid",
        frozen=True,
        openapi_extra={"required": False},  # type: ignore[typeddict-unknown-key]
    )

    @model_validator(mode="before")
    @classmethod
    def _may_be_absent(cls, value: Any) -> Any:
        return {} if value is None and not request.get_data(cache=True) else value


class NewItem(Body):
    product_id: Id
    quantity: Quantity


class NewQuantity(Body):
    quantity: Quantity


class ItemShown(Shown):
    product_id: int
    name: str | None = Field(description="As last known; null when nothing is known.")
    quantity: int
    unit_price_cents: int | None
    line_total_cents: int | None
    available: bool | None = Field(
        description="Whether the quantity is in stock; null when that is not verified."
    )
    verified: bool = Field(description="Whether the catalog stands behind the line.")


class CartShown(Shown):
    id: str
    items: list[ItemShown]
    total_cents: int = Field(description="Of the lines whose price is known.")
    currency: str
    expires_at: str
    version: int = Field(description="Rises with every change of what the cart holds.")
