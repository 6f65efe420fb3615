"""`make down` leaves nothing but the data, and `make up` finds it again."""

from __future__ import annotations

from tests.docker.project import Project
from tests.shop import Shop


def test_an_order_outlives_make_down(stack: Project, shop: Shop) -> None:
    product = shop.new_product(stock=5)
    user = shop.new_user()
    order = shop.buy(user, (product["id"], 1))
    stack.make("down")
    left = stack.leftovers()
    assert (left["container"], left["network"]) == ([], [])
    # Of two databases with three nodes, two Redis, etcd, the certificate, and Prometheus.
    assert len(left["volume"]) == 8
    printed = stack.make("up")
    assert f"{stack.url.replace('127.0.0.1', 'localhost')}/docs" in printed
    assert shop.order(user, order["id"])["total_cents"] == order["total_cents"]
    assert shop.stock(product["id"]) == 4
