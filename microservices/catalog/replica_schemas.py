"""What other branches say, as far as it is taken: fields that are not known are left out."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import Field, RootModel

from catalog.models import Category, Product
from catalog.schemas import MOST_UNITS, Description, ImageUrl, Name, Price, Sku, Slug
from chassis.ids import ULID_PATTERN
from chassis.schemas import TOP_ID, Body, Said, Shown, example

BranchName = Annotated[str, Field(pattern="^[a-z0-9-]{1,32}$")]
Units = Annotated[int, Field(ge=0, le=TOP_ID)]


class SharedCategory(Said):
    slug: Slug
    name: Name


class SharedProduct(Said):
    """What of a product is the same in every branch."""

    sku: Sku
    name: Name
    description: Description
    category: SharedCategory
    price_cents: Price
    currency: Annotated[str, Field(pattern="^[A-Z]{3}$")]
    image_url: ImageUrl
    active: bool

    @classmethod
    def of(cls, product: Product, category: Category) -> Self:
        """The same of a product that is here."""
        own = {name: getattr(product, name) for name in cls.model_fields if name != "category"}
        return cls(**own, category=SharedCategory(slug=category.slug, name=category.name))


class StockCopy(Said):
    sku: Sku
    branch: BranchName
    available: Units
    version: Annotated[int, Field(ge=1, le=TOP_ID)]
    sent: Units = 0
    received: Units = 0


class TransferSaid(Said):
    id: Annotated[str, Field(pattern=ULID_PATTERN)]
    sku: Sku
    from_branch: BranchName = Field(alias="from")
    to_branch: BranchName = Field(alias="to")
    quantity: Annotated[int, Field(ge=1, le=MOST_UNITS)]
    state: Literal["sent", "received"]


class ReplicaEvents(RootModel[list[Any] | dict[str, Any]]):
    """One CloudEvent, or a list of up to 500."""


class NewTransfer(Body):
    model_config = example({"sku": "BOL-MILHO-12", "to": "filial", "quantity": 5})

    id: str | None = Field(
        None,
        pattern=ULID_PATTERN,
        description="ULID that makes a repeated request the same transfer.",
    )
    sku: Sku
    to: BranchName
    quantity: int = Field(ge=1, le=MOST_UNITS)


class TransferShown(Shown):
    id: str
    sku: str
    from_branch: str = Field(alias="from")
    to: str
    quantity: int
    state: str = Field(description="`sent`: in transit. `received`: the other branch has it.")
    at: str


class TransferList(Shown):
    items: list[TransferShown]
    next_cursor: str | None


class ReplicaResult(Shown):
    branch: str
    services: dict[str, Any]
    results: list[dict[str, Any]]
