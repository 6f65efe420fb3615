"""When the cart asks the catalog, and what it tells it."""

from __future__ import annotations

from tests.cart.rig import Shop, cart_document, item_document


def test_only_the_catalog_itself_refuses_not_a_remembered_view(shop: Shop) -> None:
    cart = shop.open()
    shop.add(cart, 1, 8)
    shop.catalog.offer(1, "Bolo de cenoura", 4590, 30)

    answer = shop.add(cart, 1, 22)

    line = item_document(1, "Bolo de cenoura", 30, 4590)
    assert (answer.status_code, answer.json) == (200, cart_document(cart, 3, line))


def test_what_another_adds_at_the_same_time_is_shown_verified(shop: Shop) -> None:
    cart = shop.open()

    def meanwhile() -> None:
        shop.catalog.before_answering = lambda: None
        shop.add(cart, 2, 3)

    shop.catalog.before_answering = meanwhile

    answer = shop.add(cart, 1, 2)

    assert answer.json == cart_document(
        cart,
        3,
        item_document(2, "Brigadeiro", 3, 350),
        item_document(1, "Bolo de cenoura", 2, 4590),
    )


def test_views_are_asked_for_once_and_all_at_a_time(shop: Shop) -> None:
    cart = shop.open()
    shop.add(cart, 1, 1)
    shop.add(cart, 2, 1)
    shop.read(cart)
    assert shop.catalog.asked_for() == ["1", "2"]

    shop.redis.client.delete("product:1", "product:2")
    shop.read(cart)

    assert shop.catalog.asked_for() == ["1", "2", "1,2"]


def test_a_consistency_token_is_passed_on_and_nonsense_is_not(shop: Shop) -> None:
    sent = ["catalog:0/3000148", "orders:0/1,catalog:16/B374D848", "catalog:0/1 OR 1=1", "x" * 300]
    for token in sent:
        shop.redis.client.flushall()
        cart = shop.open()
        shop.client.post(
            f"/api/carts/{cart}/items",
            json={"product_id": 1, "quantity": 1},
            headers={"X-Consistency-Token": token},
        )

    passed_on = [arrival.headers.get("X-Consistency-Token") for arrival in shop.catalog.arrivals]
    assert passed_on == [*sent[:2], None, None]
