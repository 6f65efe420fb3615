"""HTTP of what orders shares with other branches: parse, call, status."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from chassis.auth import allow
from chassis.schemas import LostEdits, Page, json_response
from orders import customers, replica
from orders.branch_schemas import (
    BranchOrderList,
    BranchOrderQuery,
    CustomerChanges,
    CustomerList,
    CustomerPath,
    CustomerShown,
    ReplicaBatch,
    ReplicaTaken,
)
from orders.ports import ports

api = APIBlueprint("branches", __name__, abp_tags=[Tag(name="Branches")])


@api.after_request
def keep_private(response: Response) -> Response:
    """Nothing of a customer belongs in a cache, errors included."""
    response.headers.setdefault("Cache-Control", "no-store")
    return response


@api.post("/internal/replica", responses={200: ReplicaTaken}, summary="What another branch says")
@allow("service")
def take_events(body: ReplicaBatch) -> dict[str, Any]:
    return replica.take(ports(), body.peer, body.events)


@api.get("/api/customers", responses={200: CustomerList}, summary="Customers of all branches")
@allow("operator")
def list_customers(query: Page) -> Response:
    found = ports().database.read_latest(
        lambda session: customers.page(session, query.limit + 1, query.cursor)
    )
    shown = [customers.customer_document(each) for each in found[: query.limit]]
    more = len(found) > query.limit
    return json_response({"items": shown, "next_cursor": shown[-1]["email"] if more else None})


@api.patch(
    "/api/customers/<email>", responses={200: CustomerShown}, summary="Correct a customer's name"
)
@allow("operator")
def change_customer(path: CustomerPath, body: CustomerChanges) -> Response:
    at = ports()
    customer = at.database.write(
        lambda session: customers.rename(
            session, at.settings.node_name, at.clock, path.email, body.name
        ),
        repeatable=True,
    )
    return json_response(
        customers.customer_document(customer), X_Consistency_Token=at.database.token()
    )


@api.get(
    "/api/customers/<email>/lost-edits",
    responses={200: LostEdits},
    summary="Edits that lost against one of another branch",
)
@allow("operator")
def list_lost_edits(path: CustomerPath) -> Response:
    lost = ports().database.read_latest(lambda session: customers.lost(session, path.email))
    return json_response({"items": lost, "next_cursor": None})


@api.get("/api/branch-orders", responses={200: BranchOrderList}, summary="Orders of other branches")
@allow("operator")
def list_branch_orders(query: BranchOrderQuery) -> Response:
    found = ports().database.read_latest(
        lambda session: replica.page(session, query.branch, query.limit + 1, query.cursor)
    )
    shown = [replica.order_document(each) for each in found[: query.limit]]
    more = len(found) > query.limit
    return json_response({"items": shown, "next_cursor": shown[-1]["id"] if more else None})
