"""The carts' lock is lost in the middle of a checkout: the database still sells the cart once."""

from __future__ import annotations

from redis import Redis

from local.stack import Stack
from orders.settings import Settings
from tests.async_orders.rig import charged, wait_all_ended
from tests.contract.purchases import problem
from tests.race.rig import figure, frozen, own_shops, slug, together
from tests.shop import Account, Shop


def lock_of(stack: Stack) -> Redis:
    """The database that the locks are in."""
    environment = stack.services.environment("orders", "test")
    settings = Settings(**{name.lower(): value for name, value in environment.items()})  # type: ignore[arg-type]
    return Redis.from_url(settings.task_queue_url, decode_responses=True)


def test_another_purchase_of_the_cart_is_asked_to_come_again(
    stack: Stack, shop: Shop, customer: Account
) -> None:
    product = shop.new_product(stock=5)["id"]
    cart_id = shop.new_cart((product, 1))
    with lock_of(stack) as redis:
        redis.set(f"checkout:{cart_id}", "somebody else", px=60_000)
        refused = shop.checkout(customer, cart_id)
        problem(refused, "in-progress", "The same request is still running", 409)
        assert refused.headers["retry-after"] == "1"
        # It expires in mid-flight, and whoever held it is still at work: the next one goes on.
        redis.delete(f"checkout:{cart_id}")
    assert shop.checkout(customer, cart_id).status_code == 201
    assert shop.stock(product) == 4


def test_a_cart_is_bought_once_by_many_whose_locks_all_expired(stack: Stack, shop: Shop) -> None:
    user = shop.new_user()
    product = shop.new_product(stock=9)["id"]
    cart_id = shop.new_cart((product, 1))
    with lock_of(stack) as redis, own_shops(stack, 6) as shops:

        def buy(each: Shop) -> str:
            redis.delete(f"checkout:{cart_id}")
            return slug(each.checkout(user, cart_id))

        told = together([lambda s=s: buy(s) for s in shops])  # type: ignore[misc]
    figure("lock lost", str(sorted(told)))
    assert told.count("201") <= 1
    again = shop.checkout(user, cart_id)
    assert told.count("201") + (again.status_code == 201) == 1
    wait_all_ended(stack, user, 45)
    assert charged(stack, user) == {"payments": 1, "simulated_charges": 1}
    assert shop.stock(product) == 8


def test_checkouts_go_on_while_the_locks_are_away(
    stack: Stack, shop: Shop, customer: Account
) -> None:
    product = shop.new_product(stock=5)["id"]
    carts = [shop.new_cart((product, 1)) for _ in range(3)]
    with frozen(stack, "redis-streams"):
        answers = [shop.checkout(customer, cart_id) for cart_id in carts]
    assert [a.status_code for a in answers] == [201] * 3
    assert shop.stock(product) == 2
