"""HTTP of orders: parse, call, status."""

from __future__ import annotations

import re
from typing import Any

from flask import Response
from flask_openapi3 import APIBlueprint, Tag

from chassis.auth import allow, identity
from chassis.consistency import TOKEN_HEADER
from chassis.problems import BadRequest
from chassis.schemas import json_response, no_content
from orders import checkout, fulfilment, intake, stream
from orders.order import Order
from orders.ports import ports
from orders.problems import IdempotencyKeyMissing, OrderNotFound
from orders.schemas import (
    CheckoutHeaders,
    NewOrder,
    NewStatus,
    OrderList,
    OrderPath,
    OrderQuery,
    OrderShown,
    StreamHeaders,
    Timeline,
    Verdict,
)
from orders.wishes import PlaceOrder

VISIBLE_ASCII = re.compile(r"[\x21-\x7e]{1,255}")

api = APIBlueprint("orders", __name__, abp_tags=[Tag(name="Orders")])


@api.post("/api/orders", responses={201: OrderShown, 202: OrderShown}, summary="Buy a cart")
@allow("customer")
def place_order(header: CheckoutHeaders, body: NewOrder) -> Response:
    wish = PlaceOrder(identity().user_id, _key(header), body.model_dump(exclude_none=True))
    later = header.prefers_async
    placed = intake.accept(ports(), wish) if later else checkout.place(ports(), wish)
    headers = {"Location": f"/api/orders/{placed.document['id']}"}
    if later and placed.status == intake.ACCEPTED:
        headers["Preference-Applied"] = "respond-async"
    return _written(placed.document, placed.status, placed.catalog_tokens, **headers)


@api.get("/api/orders", responses={200: OrderList}, summary="List orders")
@allow("customer")
def list_orders(query: OrderQuery) -> Response:
    found, cursor = fulfilment.page(ports(), identity(), query.status, query.limit, query.cursor)
    return _private({"items": [order.document() for order in found], "next_cursor": cursor})


@api.get("/api/orders/<order_id>", responses={200: OrderShown}, summary="One order")
@allow("customer")
def get_order(path: OrderPath) -> Response:
    return _private(_visible(path).document())


@api.get(
    "/api/orders/<order_id>/timeline", responses={200: Timeline}, summary="What became of an order"
)
@allow("customer")
def get_timeline(path: OrderPath) -> Response:
    entries = fulfilment.timeline(ports(), _visible(path).id)
    return _private({"items": [stream.shown(entry) for entry in entries]})


@api.get("/api/orders/<order_id>/events", responses=stream.RESPONSES, summary="Watch an order")
@allow("customer")
def watch_order(path: OrderPath, header: StreamHeaders) -> Response:
    events = stream.events(ports(), _visible(path), header.last_event_id)
    if events is None:
        return no_content(Cache_Control="no-store")
    return Response(events, mimetype="text/event-stream", headers=stream.HEADERS)


@api.post("/api/orders/<order_id>/cancel", responses={200: OrderShown}, summary="Cancel an order")
@allow("customer")
def cancel_order(path: OrderPath) -> Response:
    order, catalog_tokens = fulfilment.cancel(ports(), _visible(path))
    return _written(order.document(), 200, catalog_tokens)


@api.post("/api/orders/<order_id>/status", responses={200: OrderShown}, summary="Move an order on")
@allow("operator")
def set_status(path: OrderPath, body: NewStatus) -> Response:
    order = fulfilment.move_on(ports(), path.order_id, body.status)
    return _written(order.document(), 200, [])


@api.get("/internal/orders/<order_id>", responses={200: Verdict}, summary="For the catalog's sweep")
@allow("service")
def get_verdict(path: OrderPath) -> dict[str, str]:
    order = checkout.read_order(ports(), path.order_id)
    if order is None:
        raise OrderNotFound(f"There is no order {path.order_id}.")
    verdict = fulfilment.reservation_verdict(order)
    return {"id": order.id, "status": order.status, "reservation": verdict}


def _key(header: CheckoutHeaders) -> str:
    if header.idempotency_key is None:
        raise IdempotencyKeyMissing("Send a fresh Idempotency-Key with every purchase.")
    if not VISIBLE_ASCII.fullmatch(header.idempotency_key):
        raise BadRequest("Idempotency-Key must be 1-255 visible ASCII characters.")
    return header.idempotency_key


def _visible(path: OrderPath) -> Order:
    return fulfilment.visible(ports(), identity(), path.order_id)


def _written(
    document: dict[str, Any], status: int, catalog_tokens: list[str], **headers: str
) -> Response:
    headers[TOKEN_HEADER] = ",".join([*catalog_tokens[-1:], ports().database.token()])
    return _private(document, status, **headers)


def _private(document: dict[str, Any], status: int = 200, **headers: str) -> Response:
    response: Response = json_response(document, status, Cache_Control="no-store")
    response.headers.extend(headers)
    return response
