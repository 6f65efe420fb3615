"""HTTP for the other services only; the gateway does not route it."""

from __future__ import annotations

from typing import Any

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag

from catalog import products, reservations
from catalog.ports import ports
from catalog.schemas import (
    NewReservation,
    ReservationPath,
    ReservationShown,
    SnapshotList,
    SnapshotQuery,
)
from chassis import correlation
from chassis.auth import allow
from chassis.consistency import TOKEN_HEADER
from chassis.problems import Unprocessable
from chassis.schemas import json_response, no_content

api = APIBlueprint("services", __name__, abp_tags=[Tag(name="For services only")])


@api.post("/api/reservations", responses={201: ReservationShown}, summary="Hold stock")
@allow("service")
def create_reservation(body: NewReservation) -> Response:
    correlation.note(order=body.id)
    lines = [reservations.Line(item.product_id, item.quantity) for item in body.items]
    if len({line.product_id for line in lines}) != len(lines):
        raise Unprocessable.field("items", "names a product twice")
    ttl = body.ttl_seconds or ports().settings.reservation_ttl_seconds
    held = reservations.reserve(ports(), body.id, lines, ttl)
    return json_response(held, 201, X_Consistency_Token=ports().database.token())


@api.post(
    "/api/reservations/<reservation_id>/commit", responses={204: None}, summary="Sell what is held"
)
@allow("service")
def commit_reservation(path: ReservationPath) -> Response:
    correlation.note(order=path.reservation_id)
    reservations.commit(ports(), path.reservation_id)
    return no_content()


@api.delete("/api/reservations/<reservation_id>", responses={204: None}, summary="Give stock back")
@allow("service")
def release_reservation(path: ReservationPath) -> Response:
    correlation.note(order=path.reservation_id)
    reservations.release(ports(), path.reservation_id)
    return no_content(X_Consistency_Token=ports().database.token())


@api.get("/internal/products", responses={200: SnapshotList}, summary="Several products at once")
@allow("service")
def list_snapshots(query: SnapshotQuery) -> dict[str, Any]:
    ids = sorted({int(part) for part in query.ids.split(",")})
    found = ports().database.read(
        lambda session: products.find_many(session, ids, ports().branch),
        request.headers.get(TOKEN_HEADER),
    )
    if len(found) < len(ids):  # perhaps too new for the standby
        found = ports().database.read_primary(
            lambda session: products.find_many(session, ids, ports().branch)
        )
    return {
        "items": [offer.document() | {"stock_version": offer.stock.version} for offer in found],
        "next_cursor": None,
    }
