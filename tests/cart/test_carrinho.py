"""The source report's Portuguese contract over the same carts."""

from __future__ import annotations

from tests.cart.rig import NO_SUCH_CART, Shop, cart_document, item_document, problem


def test_a_session_is_a_cart(shop: Shop) -> None:
    answer = shop.client.post("/api/carrinho/sessao")

    cart = answer.json["data"]["session_id"]
    empty = {"session_id": cart, "itens": [], "total": 0.0}
    assert (answer.status_code, answer.json) == (201, {"success": True, "data": empty})
    assert answer.headers["Location"] == f"/api/carrinho/{cart}"
    assert answer.headers["Cache-Control"] == "no-store"
    assert shop.read(cart) == cart_document(cart, 1)


def test_items_are_shown_in_reais(shop: Shop) -> None:
    cart = shop.open()
    path = f"/api/carrinho/{cart}"

    answer = shop.client.post(f"{path}/adicionar", json={"produto_id": 1, "quantidade": 2})

    item = {
        "produto_id": 1,
        "nome": "Bolo de cenoura",
        "quantidade": 2,
        "preco": 45.9,
        "subtotal": 91.8,
    }
    data = {"session_id": cart, "itens": [item], "total": 91.8}
    assert (answer.status_code, answer.json) == (200, {"success": True, "data": data})
    assert shop.client.get(path).json == {"success": True, "data": data}
    line = item_document(1, "Bolo de cenoura", 2, 4590)
    assert shop.read(cart) == cart_document(cart, 2, line)


def test_an_unverified_item_has_no_price(shop: Shop) -> None:
    cart = shop.open()
    shop.catalog.go_away()

    answer = shop.client.post(
        f"/api/carrinho/{cart}/adicionar", json={"produto_id": 1, "quantidade": 2}
    )

    item = {"produto_id": 1, "nome": None, "quantidade": 2, "preco": None, "subtotal": None}
    data = {"session_id": cart, "itens": [item], "total": 0.0}
    assert (answer.status_code, answer.json) == (200, {"success": True, "data": data})


def test_refusals_are_those_of_the_cart(shop: Shop) -> None:
    cart = shop.open()

    answer = shop.client.post(
        f"/api/carrinho/{cart}/adicionar", json={"produto_id": 1, "quantidade": 11}
    )
    assert answer.status_code == 409
    problem(
        answer,
        "insufficient-stock",
        "Not enough in stock",
        "Not enough in stock of product 1.",
        lines=[{"product_id": 1, "requested": 11, "available": 10}],
    )
    answer = shop.client.post(
        f"/api/carrinho/{cart}/adicionar", json={"product_id": 1, "quantity": 1}
    )
    assert answer.status_code == 422
    assert shop.client.get(f"/api/carrinho/{NO_SUCH_CART}").status_code == 404
    assert shop.client.get("/api/carrinho/curta").status_code == 404
    assert shop.client.get("/api/carrinho/sessao").status_code == 405
    assert shop.read(cart) == cart_document(cart, 1)
