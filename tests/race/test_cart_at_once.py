"""Promise 25 through the gateway: of any number of additions at once, none is lost."""

from __future__ import annotations

import itertools
from collections import Counter

import pytest

from local.stack import Stack
from tests.figures import figure
from tests.race.rig import FULL, own_shops, together
from tests.shop import Shop

CLIENTS, EACH = (200, 5) if FULL else (50, 2)


@pytest.mark.promise(25)
def test_additions_at_once_all_count(stack: Stack, shop: Shop) -> None:
    wanted = CLIENTS * EACH
    product = shop.new_product(stock=wanted)["id"]
    cart = shop.new_cart()
    body = {"product_id": product, "quantity": 1}

    def add(own: Shop) -> list[int]:
        path = f"/api/carts/{cart}/items"
        return [own.http.post(path, json=body).status_code for _ in range(EACH)]

    with own_shops(stack, CLIENTS, timeout=60) as shops:
        seen = together([lambda s=s: add(s) for s in shops], 300)
        statuses = Counter(itertools.chain.from_iterable(seen))
    shown = shop.http.get(f"/api/carts/{cart}").json()
    (item,) = shown["items"]
    figure("promise 25", f"{wanted} times +1 by {CLIENTS} at once: {item['quantity']}")

    assert statuses == {200: wanted}
    assert item["quantity"] == wanted
    assert shown["version"] == wanted + 1
