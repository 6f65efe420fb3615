"""The lock of a cart's checkout: it saves work, and losing it is harmless."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from orders.cart_lock import CartLock
from orders.queue import connect
from tests.cart.rig import RedisServer

CART = "A" * 24
KEY = f"checkout:{CART}"


@pytest.fixture
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    running = RedisServer(tmp_path_factory.mktemp("lock"))
    yield running
    running.kill()


def lock_on(server: RedisServer, seconds: float = 5.0) -> CartLock:
    return CartLock(connect(server.url, 0.25), seconds)


def test_one_wish_at_a_time_may_buy_a_cart(server: RedisServer) -> None:
    first, second = lock_on(server), lock_on(server)
    with first.held(CART, "one") as free:
        assert free
        with second.held(CART, "two") as also_free:
            assert not also_free
        # Whoever did not get it has not taken it away either.
        assert server.client.get(KEY) == "one"
        with second.held("B" * 24, "two") as other:
            assert other
    with second.held(CART, "two") as free_again:
        assert free_again
    assert server.client.keys("checkout:*") == []


def test_a_lock_that_is_just_being_let_go_is_waited_for(server: RedisServer) -> None:
    """An order is told to have ended a moment before the lock of its cart is free."""
    server.client.set(KEY, "one", px=100)
    with lock_on(server).held(CART, "two") as free:
        assert free


def test_the_same_wish_is_not_in_its_own_way(server: RedisServer) -> None:
    """Its first request may have died, or still runs: that is for the database to decide."""
    server.client.set(KEY, "one", px=60_000)
    with lock_on(server).held(CART, "one") as free:
        assert free


def test_a_lock_that_expires_in_mid_flight_is_the_next_ones(server: RedisServer) -> None:
    slow, quick = lock_on(server, 0.2), lock_on(server)
    with slow.held(CART, "one") as free:
        assert free
        limit = time.monotonic() + 10
        while server.client.exists(KEY):
            assert time.monotonic() < limit
        with quick.held(CART, "two") as taken_over:
            assert taken_over
            assert server.client.get(KEY) == "two"
        server.client.set(KEY, "three", px=60_000)
    # The first one ends now, and leaves alone what is not its own any more.
    assert server.client.get(KEY) == "three"


def test_without_redis_there_is_no_lock_and_nobody_waits_long(server: RedisServer) -> None:
    lock = lock_on(server)
    server.kill()
    with lock.held(CART, "one") as free:
        assert free


def test_a_silent_redis_is_waited_for_once_and_then_left_alone(server: RedisServer) -> None:
    lock = lock_on(server)
    server.freeze()
    try:
        began = time.monotonic()
        for wish in ("one", "two", "three", "four"):
            with lock.held(CART, wish) as free:
                assert free
        assert time.monotonic() - began < 2 * 0.25 + 0.4
    finally:
        server.thaw()
