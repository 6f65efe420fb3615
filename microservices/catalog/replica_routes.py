"""HTTP between branches, and what operators do between branches: parse, call, status."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from catalog import replica, transfers
from catalog.ports import ports
from catalog.problems import UnknownBranch
from catalog.products import Branch
from catalog.replica_schemas import (
    NewTransfer,
    ReplicaEvents,
    ReplicaResult,
    TransferList,
    TransferShown,
)
from catalog.routes import find_offer
from catalog.schemas import ProductPath
from catalog.transfers import Wanted
from chassis.auth import allow, peer
from chassis.ids import new_id
from chassis.replication import shared
from chassis.schemas import LostEdits, Page, json_response

api = APIBlueprint("branches", __name__, abp_tags=[Tag(name="Branches")])


@api.post("/replica/event", responses={200: ReplicaResult}, summary="What another branch says")
@allow("replica")
def take_events(body: ReplicaEvents) -> dict[str, Any]:
    return replica.take(ports(), peer(), body.root)


@api.post(
    "/api/stock-transfers", responses={201: TransferShown}, summary="Send units to another branch"
)
@allow("operator")
def create_transfer(body: NewTransfer) -> Response:
    if body.to not in ports().peers:
        raise UnknownBranch(f"{body.to} is not among PEERS.")
    wanted = Wanted(body.id or new_id(), body.sku, body.quantity, body.to)
    at = Branch(ports().branch, ports().clock)
    transfer = ports().database.write(
        lambda session: transfers.send(session, at, wanted), repeatable=True
    )
    token = ports().database.token()
    return json_response(transfers.transfer_document(transfer), 201, X_Consistency_Token=token)


@api.get("/api/stock-transfers", responses={200: TransferList}, summary="Transfers, newest first")
@allow("operator")
def list_transfers(query: Page) -> Response:
    found = ports().database.read_primary(
        lambda session: transfers.page(session, query.limit + 1, query.cursor)
    )
    more = len(found) > query.limit
    shown = [transfers.transfer_document(each) for each in found[: query.limit]]
    return json_response({"items": shown, "next_cursor": shown[-1]["id"] if more else None})


@api.get(
    "/api/products/<int:product_id>/lost-edits",
    responses={200: LostEdits},
    summary="Edits that lost against one of another branch",
)
@allow("operator")
def list_lost_edits(path: ProductPath) -> Response:
    sku = find_offer(ports(), path.product_id, None).product.sku
    lost = ports().database.read_primary(lambda s: shared.lost(s.execute, "product", sku))
    return json_response({"items": lost, "next_cursor": None})
