"""Request and response shapes of orders."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.request import parse_http_list

from pydantic import Field

from chassis.ids import ULID_PATTERN
from chassis.schemas import PRINTABLE, Body, Headers, Page, Parameters, Shown, example, line

Status = Literal[
    "pending",
    "reserved",
    "paid",
    "confirmed",
    "preparing",
    "shipped",
    "delivered",
    "cancelled",
    "failed",
]


class OrderPath(Parameters):
    # An id that cannot be is answered like one that is not, with a 404.
    order_id: str = Field(
        max_length=64, pattern=PRINTABLE, json_schema_extra={"pattern": ULID_PATTERN}
    )


class OrderQuery(Page):
    status: Status | None = Field(None, description="Only orders with this status.")


class CheckoutHeaders(Headers):
    idempotency_key: str | None = Field(
        None,
        alias="Idempotency-Key",
        description="1-255 visible ASCII characters; one per purchase, kept 24 h.",
        json_schema_extra={"required": True, "pattern": "^[!-~]{1,255}$"},
    )

    prefer: str | None = Field(
        None,
        alias="Prefer",
        description="`respond-async` (RFC 7240): answer 202 at once, a worker does the checkout.",
    )

    @property
    def prefers_async(self) -> bool:
        """Whether `respond-async` is among the preferences (RFC 7240)."""
        wishes = parse_http_list(self.prefer or "")
        return any(re.split("[;=]", wish)[0].strip().lower() == "respond-async" for wish in wishes)


class StreamHeaders(Headers):
    last_event_id: str | None = Field(
        None,
        alias="Last-Event-ID",
        description="The last event that was seen: only what came after it is sent.",
    )


class PaymentInput(Body):
    method: Literal["card"]
    token: str = Field(
        pattern="^[A-Za-z0-9_-]{1,64}$",
        description="Test tokens: tok_ok, tok_declined, tok_error, tok_timeout.",
    )


class ShippingAddress(Body):
    recipient: Annotated[str, line(120)]
    street: Annotated[str, line(200)]
    number: Annotated[str, line(20)]
    complement: Annotated[str, line(100, 0)] | None = None
    district: Annotated[str, line(100, 0)] | None = None
    city: Annotated[str, line(100)]
    state: Annotated[str, line(50)]
    postal_code: Annotated[str, line(20)]
    country: str | None = Field(None, pattern="^[A-Z]{2}$")


class NewOrder(Body):
    model_config = example(
        {
            "cart_id": "8WVqI9PCdRZpSh2l1vZvUBMo",
            "payment": {"method": "card", "token": "tok_ok"},
            "shipping_address": {
                "recipient": "Ana Souza",
                "street": "Rua das Flores",
                "number": "10",
                "city": "Campinas",
                "state": "SP",
                "postal_code": "13010-000",
            },
        }
    )

    cart_id: str = Field(pattern="^[A-Za-z0-9_-]{16,64}$")
    cart_version: int | None = Field(
        None,
        ge=1,
        le=2**53,
        strict=True,
        description="Buy the cart only if it is still at this version, the one that was shown.",
    )
    payment: PaymentInput
    shipping_address: ShippingAddress | None = None


class NewStatus(Body):
    status: Literal["preparing", "shipped", "delivered"]


class ItemShown(Shown):
    product_id: int
    name: str
    quantity: int
    unit_price_cents: int


class OrderShown(Shown):
    id: str = Field(pattern=ULID_PATTERN)
    status: Status
    items: list[ItemShown]
    total_cents: int
    currency: str
    created_at: str
    version: int
    shipping_address: dict[str, Any] | None
    failure: dict[str, Any] | None = Field(
        None, description="Why it failed, as a problem document; only when it failed."
    )


class OrderList(Shown):
    items: list[OrderShown]
    next_cursor: str | None


class TimelineEntry(Shown):
    step: str
    outcome: str
    attempt: int
    at: str
    detail: str


class Timeline(Shown):
    items: list[TimelineEntry]


class Verdict(Shown):
    id: str
    status: Status
    reservation: Literal["commit", "release", "hold"]
