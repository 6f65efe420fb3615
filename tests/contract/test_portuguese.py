"""The source report's own contract, in Portuguese: the same shop under other names."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.contract.database import rows
from tests.shop import Account, Shop

NEWEST = {"X-Consistency-Token": "catalog:FFFFFFFF/FFFFFFFF"}


@pytest.fixture
def product(shop: Shop) -> dict[str, Any]:
    return shop.new_product(stock=10, price_cents=4590, name="Bolo", description="De fubá")


def stock(shop: Shop, product_id: int, operation: str, units: int) -> httpx.Response:
    return shop.http.put(
        f"/api/produtos/{product_id}/estoque",
        json={"operacao": operation, "quantidade": units},
        headers=shop.operator.headers,
    )


def shown(product: dict[str, Any], units: int = 10) -> dict[str, Any]:
    """The product under its Portuguese names."""
    return {
        "id": product["id"],
        "nome": "Bolo",
        "descricao": "De fubá",
        "preco": 45.90,
        "estoque": units,
        "categoria_id": product["category"]["id"],
        "categoria_nome": product["category"]["name"],
    }


def test_a_product(shop: Shop, product: dict[str, Any]) -> None:
    answer = shop.http.get(f"/api/produtos/{product['id']}", headers=NEWEST)
    assert (answer.status_code, answer.json()) == (200, {"success": True, "data": shown(product)})


@pytest.mark.parametrize(("asked", "enough"), [("", True), ("10", True), ("11", False)])
def test_whether_so_many_are_there(
    shop: Shop, product: dict[str, Any], asked: str, enough: bool
) -> None:
    parameters = {"quantidade": asked} if asked else {}
    path = f"/api/produtos/{product['id']}/estoque"
    assert shop.http.get(path, params=parameters, headers=NEWEST).json() == {
        "success": True,
        "data": {
            "produto_id": product["id"],
            "quantidade": int(asked or 1),
            "estoque": 10,
            "disponivel": enough,
        },
    }


def test_filters(shop: Shop) -> None:
    body = {"slug": f"pt-{shop.new_product()['id']}", "name": f"PT {shop.new_product()['id']}"}
    category = shop.http.post("/api/categories", json=body, headers=shop.operator.headers).json()
    for name, cents, units in (("Barato", 1000, 1), ("Caro", 1001, 1), ("Em falta", 500, 0)):
        shop.new_product(name=name, category_id=category["id"], price_cents=cents, stock=units)

    def names(**filters: Any) -> list[str]:
        parameters = {"categoria_id": category["id"], **filters}
        document = shop.http.get("/api/produtos", params=parameters, headers=NEWEST).json()
        assert document["success"] is True
        assert document["total"] == len(document["data"])
        return [each["nome"] for each in document["data"]]

    assert names() == ["Barato", "Caro", "Em falta"]
    assert names(preco_max="10") == ["Barato", "Em falta"]
    assert names(preco_max="10.00", em_estoque="true") == ["Barato"]
    assert names(preco_max="9.99") == ["Em falta"]
    assert names(em_estoque="false") == ["Em falta"]
    assert names(preco_max="10.01", em_estoque="true") == ["Barato", "Caro"]


def test_stock_is_changed_by_an_operator(shop: Shop, product: dict[str, Any]) -> None:
    less = stock(shop, product["id"], "remover", 4)
    more = stock(shop, product["id"], "adicionar", 1)

    assert (less.status_code, less.json()) == (200, {"success": True, "data": shown(product, 6)})
    assert (more.status_code, more.json()) == (200, {"success": True, "data": shown(product, 7)})
    token = {"X-Consistency-Token": more.headers["x-consistency-token"]}
    read = shop.http.get(f"/api/produtos/{product['id']}", headers=token)
    assert read.json()["data"]["estoque"] == 7
    query = (
        "SELECT delta, kind, reference FROM stock_movements WHERE product_id = %(id)s ORDER BY id"
    )
    assert rows(shop, "catalog", query, id=product["id"])[1:] == [
        (-4, "adjust", "remover"),
        (1, "adjust", "adicionar"),
    ]


def test_more_than_there_is_is_400(shop: Shop, product: dict[str, Any]) -> None:
    answer = stock(shop, product["id"], "remover", 11)

    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {
        "type": "/problems/estoque-insuficiente",
        "title": "Estoque insuficiente",
        "status": 400,
        "detail": "Estoque insuficiente",
        "success": False,
        "instance": answer.headers["x-request-id"],
    }
    assert shop.stock(product["id"]) == 10


@pytest.mark.parametrize("operation", ["reservar", "REMOVER", "", None])
def test_an_operation_it_does_not_know_is_refused(
    shop: Shop, product: dict[str, Any], operation: Any
) -> None:
    assert stock(shop, product["id"], operation, 1).status_code == 422
    assert shop.stock(product["id"]) == 10


def test_no_such_product_is_404(shop: Shop) -> None:
    for path in ("999999999", "999999999/estoque"):
        assert shop.http.get(f"/api/produtos/{path}", headers=NEWEST).status_code == 404
    assert stock(shop, 999999999, "adicionar", 1).status_code == 404


def test_a_session_is_a_cart_that_can_be_bought(
    shop: Shop, product: dict[str, Any], customer: Account
) -> None:
    opened = shop.http.post("/api/carrinho/sessao")
    session = opened.json()["data"]["session_id"]
    body = {"produto_id": product["id"], "quantidade": 2}
    added = shop.http.post(f"/api/carrinho/{session}/adicionar", json=body)

    assert opened.status_code == 201
    data = {
        "session_id": session,
        "itens": [
            {
                "produto_id": product["id"],
                "nome": "Bolo",
                "quantidade": 2,
                "preco": 45.9,
                "subtotal": 91.8,
            }
        ],
        "total": 91.8,
    }
    assert (added.status_code, added.json()) == (200, {"success": True, "data": data})
    assert shop.http.get(f"/api/carrinho/{session}").json() == {"success": True, "data": data}
    order = shop.checkout(customer, session)
    assert (order.status_code, order.json()["total_cents"]) == (201, 9180)
