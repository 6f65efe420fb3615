"""Promise 26 through the gateway: a full Redis of the carts refuses, evicts nothing, and heals."""

from __future__ import annotations

import pytest
from redis import Redis

from local.stack import Stack
from tests.figures import figure
from tests.race.rig import FULL, counted, is_problem, seconds_of, slug
from tests.shop import Account, Shop, wait_until

CARTS = 2000 if FULL else 20
BACK_WITHIN_SECONDS = 5


@pytest.mark.promise(26)
def test_full_carts_refuse_and_lose_nothing(stack: Stack, shop: Shop, customer: Account) -> None:
    product = shop.new_product(stock=100)["id"]
    carts = [shop.new_cart((product, 1)) for _ in range(CARTS)]
    line = {"product_id": product, "quantity": 1}
    with Redis.from_url(stack.redis_urls["redis-carts"], decode_responses=True) as redis:
        most = redis.config_get("maxmemory")["maxmemory"]
        there = _carts_in(redis)
        # Well below what is used: clients that leave give bytes back, and a small write would fit.
        redis.config_set("maxmemory", redis.info("memory")["used_memory"] // 2)
        try:
            wait_until(lambda: shop.http.post("/api/carts").status_code == 503)
            refused = [
                shop.http.post("/api/carts"),
                shop.http.post(f"/api/carts/{carts[0]}/items", json=line),
            ]
            read = [shop.http.get(f"/api/carts/{cart}") for cart in carts]
            bought = shop.checkout(customer, carts[1])
            evicted = redis.info("stats")["evicted_keys"]
            kept = _carts_in(redis)
        finally:
            redis.config_set("maxmemory", most)
    seconds, _ = seconds_of(
        lambda: wait_until(
            lambda: shop.http.post("/api/carts").status_code == 201, BACK_WITHIN_SECONDS
        )
    )
    figure(
        "promise 26",
        f"Redis full: {counted(map(slug, refused))}; {len(read)} carts read:"
        f" {counted(answer.status_code for answer in read)}; {evicted} keys evicted;"
        f" checkout {bought.status_code}; takes carts again after {seconds:.1f} s",
    )
    assert [slug(answer) for answer in refused] == ["503 unavailable"] * 2
    assert all(is_problem(answer) and "Retry-After" in answer.headers for answer in refused)
    assert {answer.status_code for answer in read} == {200}
    assert all(len(answer.json()["items"]) == 1 for answer in read)
    assert evicted == 0 and kept >= there
    assert bought.status_code == 201
    wait_until(lambda: shop.http.get(f"/api/carts/{carts[1]}").json()["items"] == [])


def _carts_in(redis: Redis) -> int:
    """Carts only: what is remembered of products ends by itself, and cannot be renewed."""
    return sum(1 for _ in redis.scan_iter("cart:*", count=1000))
