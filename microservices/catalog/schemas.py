"""Request and response shapes of the catalog."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from chassis.ids import ULID_PATTERN
from chassis.schemas import (
    PRINTABLE,
    PROSE,
    TOP_ID,
    Body,
    Changes,
    Headers,
    Id,
    Page,
    Parameters,
    Quantity,
    Shown,
    example,
    line,
)

Name = Annotated[str, line(120)]
Sku = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9][A-Z0-9-]{1,31}$")]
Slug = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*$", max_length=60)]
Description = Annotated[str, StringConstraints(max_length=4000, pattern=PROSE)]
ImageUrl = Annotated[
    str,
    StringConstraints(
        max_length=500, pattern=r"^(https://[^\s\"'<>\\]+|/([^\s\"'<>\\/][^\s\"'<>\\]*)?)$"
    ),
]
MOST_UNITS = 10**9
# A hundred lines of ten thousand units come to less than 2**53 cents: exact in every client.
Price = Annotated[int, Field(ge=1, le=10**9)]
Sort = Literal["name", "-name", "price", "-price", "newest"]


class ProductPath(Parameters):
    product_id: int = Field(ge=1, le=TOP_ID)


class ReservationPath(Parameters):
    reservation_id: str = Field(pattern=ULID_PATTERN)


class ProductQuery(Page):
    category: str | None = Field(
        None, max_length=60, pattern=PRINTABLE, description="Slug of a category."
    )
    q: str | None = Field(
        None, max_length=200, description="Words to look for; case and accents do not matter."
    )
    min_price_cents: int | None = Field(None, ge=0, le=10**12)
    max_price_cents: int | None = Field(None, ge=0, le=10**12)
    in_stock: bool | None = Field(None, description="Only what is there (or only what is not).")
    sort: Sort = "name"


class StockQuery(Parameters):
    quantity: int = Field(1, ge=1, le=10_000)


class SnapshotQuery(Parameters):
    ids: str = Field(pattern=r"^[0-9]{1,15}(,[0-9]{1,15}){0,99}$")


class IfMatch(Headers):
    if_match: str | None = Field(
        None,
        alias="If-Match",
        max_length=100,
        description="The ETag that the edit is based on; the part before the dot counts.",
        json_schema_extra={
            "required": True,
            "pattern": r'^"[0-9]{1,15}(\.[0-9]{1,15})?"$',
            "example": '"3.7"',
        },
    )


class NewProduct(Body):
    model_config = example(
        {
            "sku": "BOL-MILHO-12",
            "name": "Bolo de milho",
            "description": "Inteiro, 900 g.",
            "category_id": 1,
            "price_cents": 3990,
            "stock": 20,
        }
    )

    sku: Sku
    name: Name
    description: Description = ""
    category_id: Id
    price_cents: Price
    stock: int = Field(0, ge=0, le=MOST_UNITS)
    image_url: ImageUrl | None = None


class ProductChanges(Changes):
    """At least one of the fields; what is absent stays as it is."""

    name: Name | None = None
    description: Description | None = None
    category_id: Id | None = None
    price_cents: Price | None = None
    image_url: ImageUrl | None = None
    active: bool | None = None


class NewCategory(Body):
    model_config = example({"slug": "paes-doces", "name": "Pães doces"})

    slug: Slug
    name: Name


class StockAdjustment(Body):
    model_config = example({"delta": -2, "reason": "Quebra"})

    delta: int = Field(
        ge=-MOST_UNITS,
        le=MOST_UNITS,
        description="Units; not 0.",
        json_schema_extra={"not": {"const": 0}},
    )
    reason: Annotated[str, line(200)]


class ReservationLine(Body):
    product_id: Id
    quantity: Quantity


class NewReservation(Body):
    id: str = Field(pattern=ULID_PATTERN)
    items: list[ReservationLine] = Field(min_length=1, max_length=100)
    ttl_seconds: int | None = Field(None, ge=1, le=86_400)


class CategoryShown(Shown):
    id: int
    slug: str
    name: str


class CategoryList(Shown):
    items: list[CategoryShown]
    next_cursor: str | None


class ProductShown(Shown):
    id: int
    sku: str
    name: str
    description: str
    category: CategoryShown
    price_cents: int
    currency: str
    stock: int
    image_url: str
    active: bool
    version: int


class ProductList(Shown):
    items: list[ProductShown]
    next_cursor: str | None


class SnapshotShown(ProductShown):
    stock_version: int


class SnapshotList(Shown):
    items: list[SnapshotShown]
    next_cursor: None


class BranchStock(Shown):
    branch: str
    stock: int
    version: int


class StockShown(Shown):
    product_id: int
    requested: int
    available: bool
    stock: int
    branches: list[BranchStock]


class MovementShown(Shown):
    id: int
    branch: str
    delta: int
    kind: str
    reference: str
    at: str


class MovementList(Shown):
    items: list[MovementShown]
    next_cursor: str | None


class PricedLine(Shown):
    product_id: int
    quantity: int
    name: str
    unit_price_cents: int
    currency: str


class ReservationShown(Shown):
    id: str
    state: str
    lines: list[PricedLine]
    expires_at: str
