"""Any number of changes at once has the effect of one after the other (promise 25)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest

from tests.cart.rig import MakeShop, Shop, cart_document, item_document


@pytest.fixture
def shop(make_shop: MakeShop) -> Shop:
    # The catalog's stand-in shares this process with every shopper, so it may take its time.
    return make_shop(threads=200, catalog_wait_seconds=30)


Prepare = Callable[[Shop], None]


@pytest.fixture(params=[False, True], ids=["asking the catalog", "by what is known"])
def prepare(request: pytest.FixtureRequest) -> Prepare:
    return Shop.warm_up if request.param else lambda _: None


def together(workers: int, work: Callable[[int], list[int]]) -> Counter[int]:
    """Run `work` in this many threads that start at once; how often it saw each status."""
    start = Barrier(workers)

    def run(number: int) -> list[int]:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(workers) as pool:
        return Counter(status for seen in pool.map(run, range(workers)) for status in seen)


@pytest.mark.promise(25)
def test_a_thousand_parallel_additions_of_one_make_a_thousand(shop: Shop, prepare: Prepare) -> None:
    cart = shop.open()
    prepare(shop)

    seen = together(200, lambda _: [shop.add(cart, 2, 1).status_code for _ in range(5)])

    assert seen == {200: 1000}
    line = item_document(2, "Brigadeiro", 1000, 350)
    assert shop.read(cart) == cart_document(cart, 1001, line)


def test_parallel_additions_stop_at_the_stock(shop: Shop, prepare: Prepare) -> None:
    shop.catalog.offer(3, "Torta de limão", 6500, 100)
    cart = shop.open()
    prepare(shop)

    seen = together(50, lambda _: [shop.add(cart, 3, 1).status_code for _ in range(4)])

    assert seen == {200: 100, 409: 100}
    assert shop.quantities(cart) == {3: 100}


def test_parallel_additions_stop_at_a_hundred_products(shop: Shop, prepare: Prepare) -> None:
    for product_id in range(1, 121):
        shop.catalog.offer(product_id, f"Doce {product_id}", 100, 10)
    cart = shop.open()
    prepare(shop)

    seen = together(120, lambda number: [shop.add(cart, number + 1, 1).status_code])

    assert seen == {200: 100, 422: 20}
    assert list(shop.quantities(cart).values()) == [1] * 100
