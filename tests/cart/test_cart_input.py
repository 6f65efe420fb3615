"""Bad input is refused as a problem and changes nothing (promises 33–35)."""

from __future__ import annotations

import pytest

from tests.cart.rig import Shop, cart_document, item_document

BAD_QUANTITIES = [
    *("-1", "0", "1.5", '"1"', "true", "false", "null", "1e9", "[]", "{}", "10001"),
    *(str(2**31), str(2**63), str(2**64), "NaN", "Infinity", "-Infinity", "1e400", "9" * 5000),
]


@pytest.mark.promise(33)
@pytest.mark.parametrize("quantity", BAD_QUANTITIES, ids=lambda text: text[:12])
def test_bad_quantities_are_refused_and_change_nothing(shop: Shop, quantity: str) -> None:
    cart = shop.open()
    shop.add(cart, 1, 2)
    path, kind = f"/api/carts/{cart}/items", "application/json"

    answers = [
        shop.client.post(
            path, data=f'{{"product_id": 1, "quantity": {quantity}}}', content_type=kind
        ),
        shop.client.put(f"{path}/1", data=f'{{"quantity": {quantity}}}', content_type=kind),
        shop.client.post(
            f"/api/carrinho/{cart}/adicionar",
            data=f'{{"produto_id": 1, "quantidade": {quantity}}}',
            content_type=kind,
        ),
    ]

    unreadable = quantity in ("NaN", "Infinity", "-Infinity") or len(quantity) > 4300
    for answer in answers:
        assert answer.status_code == (400 if unreadable else 422)
        assert answer.content_type == "application/problem+json"
    line = item_document(1, "Bolo de cenoura", 2, 4590)
    assert shop.read(cart) == cart_document(cart, 2, line)


@pytest.mark.promise(34)
@pytest.mark.parametrize(
    "field", ["price", "total", "role", "user_id", "status", "unit_price_cents"]
)
def test_fields_outside_the_contract_are_refused(shop: Shop, field: str) -> None:
    cart = shop.open()
    path = f"/api/carts/{cart}/items"

    answers = [
        shop.client.post("/api/carts", json={field: 1}),
        shop.client.post(path, json={"product_id": 1, "quantity": 1, field: 1}),
        shop.client.put(f"{path}/1", json={"quantity": 1, field: 1}),
    ]

    for answer in answers:
        assert answer.status_code == 422
        assert answer.json["errors"] == [
            {"field": field, "message": "Extra inputs are not permitted"}
        ]
    assert shop.read(cart) == cart_document(cart, 1)
    assert len(shop.redis.client.keys("cart:*")) == 1


@pytest.mark.parametrize(
    ("body", "kind", "status"),
    [
        (b"", None, 201),
        (b"", "application/json", 201),
        (b"{}", "application/json", 201),
        (b"{", "application/json", 400),
        (b"[]", "application/json", 422),
        (b"1", "application/json", 422),
        (b"null", "application/json", 400),
        (b"{}", "text/plain", 415),
    ],
)
def test_a_cart_is_opened_with_no_body_or_an_empty_object(
    shop: Shop, body: bytes, kind: str | None, status: int
) -> None:
    for path in ("/api/carts", "/api/carrinho/sessao"):
        answer = shop.client.post(path, data=body, content_type=kind)
        assert answer.status_code == status
    assert len(shop.redis.client.keys("cart:*")) == (2 if status == 201 else 0)


@pytest.mark.parametrize("product_id", [0, 2**53, 2**64])
def test_ids_that_no_product_can_have_are_refused(shop: Shop, product_id: int) -> None:
    cart = shop.open()

    answers = [
        shop.add(cart, product_id, 1),
        shop.put(cart, product_id, 1),
        shop.client.delete(f"/api/carts/{cart}/items/{product_id}"),
    ]

    assert [answer.status_code for answer in answers] == [422, 422, 422]
    assert shop.catalog.arrivals == []


@pytest.mark.promise(35)
def test_a_body_beyond_a_mebibyte_is_413(shop: Shop) -> None:
    cart = shop.open()

    answer = shop.client.post(
        f"/api/carts/{cart}/items", data=b" " * (1024 * 1024 + 1), content_type="application/json"
    )

    assert answer.status_code == 413
    assert answer.content_type == "application/problem+json"
