"""HTTP of carts: parse, call, status. A cart belongs to whoever knows its id."""

from __future__ import annotations

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag

from cart import carts
from cart.carts import Cart, Change
from cart.ports import ports
from cart.schemas import CartPath, CartShown, ItemPath, NewCart, NewItem, NewQuantity
from chassis.auth import allow
from chassis.consistency import TOKEN_HEADER
from chassis.schemas import json_response, no_content

api = APIBlueprint("carts", __name__, url_prefix="/api/carts", abp_tags=[Tag(name="Carts")])


@api.post("", responses={201: CartShown}, summary="Open a cart")
@allow("public")
def create_cart(body: NewCart) -> Response:
    cart = carts.open_cart(ports())
    return _shown(cart, 201, Location=f"/api/carts/{cart.id}")


@api.get("/<cart_id>", responses={200: CartShown}, summary="What is in a cart")
@allow("public")
def get_cart(path: CartPath) -> Response:
    return _shown(carts.find(ports(), path.cart_id, token()))


@api.delete("/<cart_id>", responses={204: None}, summary="Throw a cart away")
@allow("public")
def delete_cart(path: CartPath) -> Response:
    carts.drop(ports(), path.cart_id)
    return no_content()


@api.post("/<cart_id>/items", responses={200: CartShown}, summary="Put more of a product in")
@allow("public")
def add_item(path: CartPath, body: NewItem) -> Response:
    change = Change(path.cart_id, "add", body.product_id, body.quantity)
    return _shown(carts.change(ports(), change, token()))


@api.put(
    "/<cart_id>/items/<int:product_id>",
    responses={200: CartShown},
    summary="Set how much of a product is in",
)
@allow("public")
def set_item(path: ItemPath, body: NewQuantity) -> Response:
    change = Change(path.cart_id, "set", path.product_id, body.quantity)
    return _shown(carts.change(ports(), change, token()))


@api.delete(
    "/<cart_id>/items/<int:product_id>", responses={200: CartShown}, summary="Take a product out"
)
@allow("public")
def delete_item(path: ItemPath) -> Response:
    return _shown(carts.remove(ports(), path.cart_id, path.product_id, token()))


def token() -> str | None:
    """The caller's consistency token."""
    return request.headers.get(TOKEN_HEADER)


def keep_private(response: Response) -> Response:
    """Nobody on the way may keep what is in a cart."""
    response.headers["Cache-Control"] = "no-store"
    return response


def _shown(cart: Cart, status: int = 200, **headers: str) -> Response:
    response: Response = json_response(cart.document(), status, **headers)
    return response


api.after_request(keep_private)
