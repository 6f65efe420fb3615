"""The source report's Portuguese contract: the same functions under its names and envelope."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Any, Literal

from flask import Response, request
from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field, WithJsonSchema

from catalog import search, stock
from catalog.ports import ports
from catalog.problems import InsufficientStock
from catalog.products import Branch, Offer
from catalog.routes import find_offer
from chassis.auth import allow
from chassis.consistency import TOKEN_HEADER
from chassis.problems import Problem
from chassis.schemas import TOP_ID, Body, Parameters, Quantity, Shown, json_response

api = APIBlueprint(
    "produtos", __name__, url_prefix="/api/produtos", abp_tags=[Tag(name="Contrato em português")]
)


MOST_REAIS = 10**10


class EstoqueInsuficiente(Problem):
    status, slug, title = 400, "estoque-insuficiente", "Estoque insuficiente"


class ProdutoPath(Parameters):
    produto_id: int = Field(ge=1, le=TOP_ID)


Reais = Annotated[
    Decimal,
    Field(ge=0, le=MOST_REAIS),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": MOST_REAIS}),
]


class FiltroProdutos(Parameters):
    categoria_id: int | None = Field(None, ge=1, le=TOP_ID)
    preco_max: Reais | None = Field(None, description="Em reais.")
    em_estoque: bool | None = None


class ConsultaEstoque(Parameters):
    quantidade: int = Field(1, ge=1, le=10_000)


class MudancaEstoque(Body):
    operacao: Literal["remover", "adicionar"]
    quantidade: Quantity


class Resposta(Shown):
    success: bool
    data: Any
    total: int | None = None


@api.get("", responses={200: Resposta}, summary="Lista produtos")
@allow("public")
def listar(query: FiltroProdutos) -> dict[str, Any]:
    """Todos os produtos que passam pelos filtros, em ordem de nome."""
    most = None if query.preco_max is None else int(query.preco_max * 100)
    found = ports().database.read(
        lambda session: search.everything(
            session, ports().branch, query.categoria_id, most, query.em_estoque
        ),
        request.headers.get(TOKEN_HEADER),
    )
    return {"success": True, "data": [_produto(offer) for offer in found], "total": len(found)}


@api.get("/<int:produto_id>", responses={200: Resposta}, summary="Um produto")
@allow("public")
def detalhar(path: ProdutoPath) -> dict[str, Any]:
    offer = find_offer(ports(), path.produto_id, request.headers.get(TOKEN_HEADER))
    return {"success": True, "data": _produto(offer)}


@api.get("/<int:produto_id>/estoque", responses={200: Resposta}, summary="Consulta o estoque")
@allow("public")
def consultar_estoque(path: ProdutoPath, query: ConsultaEstoque) -> dict[str, Any]:
    offer = find_offer(ports(), path.produto_id, request.headers.get(TOKEN_HEADER))
    data = {
        "produto_id": path.produto_id,
        "quantidade": query.quantidade,
        "estoque": offer.stock.available,
        "disponivel": offer.product.active and offer.stock.available >= query.quantidade,
    }
    return {"success": True, "data": data}


@api.put("/<int:produto_id>/estoque", responses={200: Resposta}, summary="Muda o estoque")
@allow("operator")
def mudar_estoque(path: ProdutoPath, body: MudancaEstoque) -> Response:
    delta = body.quantidade if body.operacao == "adicionar" else -body.quantidade
    branch = Branch(ports().branch, ports().clock)
    try:
        offer = ports().database.write(
            lambda session: stock.adjust(session, branch, path.produto_id, delta, body.operacao)
        )
    except InsufficientStock as error:
        raise EstoqueInsuficiente("Estoque insuficiente", success=False) from error
    document = {"success": True, "data": _produto(offer)}
    return json_response(document, X_Consistency_Token=ports().database.token())


def _produto(offer: Offer) -> dict[str, Any]:
    product = offer.product
    return {
        "id": product.id,
        "nome": product.name,
        "descricao": product.description,
        "preco": product.price_cents / 100,
        "estoque": offer.stock.available,
        "categoria_id": product.category.id,
        "categoria_nome": product.category.name,
    }
