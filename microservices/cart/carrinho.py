"""The source report's Portuguese contract: the same functions under its names and envelope."""

from __future__ import annotations

from typing import Any

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field

from cart import carts
from cart.carts import CART_ID, Cart, Change, Item
from cart.ports import ports
from cart.routes import keep_private, token
from cart.schemas import NewCart
from chassis.auth import allow
from chassis.schemas import Body, Id, Parameters, Quantity, Shown, json_response

api = APIBlueprint(
    "carrinho", __name__, url_prefix="/api/carrinho", abp_tags=[Tag(name="Contrato em português")]
)


# By its length an id cannot be taken for `sessao`, which has another method.
SESSAO = "/<string(length=24):session_id>"


class SessaoPath(Parameters):
    session_id: str = Field(
        description="Quem o conhece é dono do carrinho.", json_schema_extra={"pattern": CART_ID}
    )


class NovoItem(Body):
    produto_id: Id
    quantidade: Quantity


class ItemCarrinho(Shown):
    produto_id: int
    nome: str | None
    quantidade: int
    preco: float | None = Field(description="Em reais.")
    subtotal: float | None


class Carrinho(Shown):
    session_id: str
    itens: list[ItemCarrinho]
    total: float


class RespostaCarrinho(Shown):
    success: bool
    data: Carrinho


@api.post("/sessao", responses={201: RespostaCarrinho}, summary="Abre um carrinho")
@allow("public")
def abrir(body: NewCart) -> Response:
    cart = carts.open_cart(ports())
    return _resposta(cart, 201, Location=f"/api/carrinho/{cart.id}")


@api.get(SESSAO, responses={200: RespostaCarrinho}, summary="O que há no carrinho")
@allow("public")
def detalhar(path: SessaoPath) -> Response:
    return _resposta(carts.find(ports(), path.session_id, token()))


@api.post(f"{SESSAO}/adicionar", responses={200: RespostaCarrinho}, summary="Adiciona um produto")
@allow("public")
def adicionar(path: SessaoPath, body: NovoItem) -> Response:
    change = Change(path.session_id, "add", body.produto_id, body.quantidade)
    return _resposta(carts.change(ports(), change, token()))


def _resposta(cart: Cart, status: int = 200, **headers: str) -> Response:
    data = {
        "session_id": cart.id,
        "itens": [_item(item) for item in cart.items],
        "total": cart.total_cents / 100,
    }
    response: Response = json_response({"success": True, "data": data}, status, **headers)
    return response


def _item(item: Item) -> dict[str, Any]:
    return {
        "produto_id": item.product_id,
        "nome": item.name,
        "quantidade": item.quantity,
        "preco": _reais(item.unit_price_cents),
        "subtotal": _reais(item.line_total_cents),
    }


def _reais(cents: int | None) -> float | None:
    return None if cents is None else cents / 100


api.after_request(keep_private)
