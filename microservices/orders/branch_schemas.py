"""Request and response shapes of what orders shares with other branches."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from chassis.schemas import PRINTABLE, Body, Page, Parameters, Shown, example
from orders.account_schemas import EMAIL, Name

BranchName = Annotated[str, Field(pattern="^[a-z0-9-]{1,32}$")]


class ReplicaBatch(Body):
    peer: BranchName
    events: list[dict[str, Any]] = Field(min_length=1, max_length=500)


class ReplicaTaken(Shown):
    """`epoch` and `known` are absent when none of it was an event."""

    epoch: int = 1
    known: dict[str, Any] = Field(default_factory=dict)
    results: list[dict[str, Any]]


class CustomerPath(Parameters):
    # One that cannot be is answered like one that is not, with a 404.
    email: str = Field(max_length=254, pattern=PRINTABLE, json_schema_extra={"pattern": EMAIL})


class CustomerChanges(Body):
    model_config = example({"name": "Ana Souza"})

    name: Name


class CustomerShown(Shown):
    email: str
    name: str


class CustomerList(Shown):
    items: list[CustomerShown]
    next_cursor: str | None


class BranchOrderQuery(Page):
    branch: BranchName | None = Field(None, description="Only orders of this branch.")


class BranchOrderShown(Shown):
    id: str
    branch: str
    status: str
    customer_email: str
    items: list[dict[str, Any]]
    total_cents: int
    currency: str
    created_at: str
    version: int


class BranchOrderList(Shown):
    items: list[BranchOrderShown]
    next_cursor: str | None
