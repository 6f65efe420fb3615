"""What the tests of requests aim at."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.contract.bodies import Bench
from tests.contract.shelf import Shelf
from tests.shop import Account, Shop


@pytest.fixture(scope="module")
def bench(shop: Shop, admin: Account) -> Bench:
    product = shop.new_product(stock=100)["id"]
    user = shop.new_user()
    order = shop.buy(user, (product, 1))
    ids = {"product_id": product, "user_id": user.id, "order_id": order["id"], "email": user.email}
    return Bench(shop, admin, ids | {"cart_id": shop.new_cart((product, 2))})


@pytest.fixture
def unchanged(bench: Bench) -> Iterator[None]:
    before = bench.state()
    yield
    assert bench.state() == before


@pytest.fixture
def shelf(shop: Shop) -> Shelf:
    return Shelf(shop)
