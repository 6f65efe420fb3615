"""Promises 1 and 2: nothing is sold that is not there, and no deadlock reaches a client."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable

import httpx
import pytest

from catalog import reservations
from catalog.ports import Ports
from catalog.problems import InsufficientStock
from chassis.ids import new_id
from local.stack import Stack
from tests.figures import figure, reached
from tests.race.rig import FULL, counted, ledgers, own_shops, slug, together
from tests.shop import Account, Shop, wait_until

CLIENTS, ATTEMPTS, STOCK = (200, 2000, 100) if FULL else (100, 200, 20)
TIMES = 10 if FULL else 1
LONGEST_SECONDS = 1800 if FULL else 110
SHELVES, MANY = (200 if FULL else 12), 10_000
RESERVERS, RESERVATIONS, CHECKOUTS = (16, 1200, 800) if FULL else (12, 20, 20)


@pytest.mark.promise(1, minutes=5)
def test_no_more_is_sold_than_is_there(stack: Stack, shop: Shop) -> None:
    users = [shop.new_user() for _ in range(10)]
    with own_shops(stack, CLIENTS, timeout=60) as shops:
        for number in range(TIMES):
            _sell_out(shop, shops, users)
            reached((number + 1) / TIMES)


def _sell_out(shop: Shop, shops: list[Shop], users: list[Account]) -> None:
    """All want one product, of which there are far fewer units than attempts."""
    stack, product = shop.stack, shop.new_product(stock=STOCK)["id"]
    mine = ATTEMPTS // CLIENTS
    # Every cart is filled while the shelf is full, so that every attempt reaches checkout.
    carts = together(
        [lambda s=each: [s.new_cart((product, 1)) for _ in range(mine)] for each in shops],
        LONGEST_SECONDS,
    )

    def buy(number: int) -> list[httpx.Response]:
        user = users[number % len(users)]
        return [shops[number].checkout(user, cart) for cart in carts[number]]

    bought = together([lambda n=n: buy(n) for n in range(CLIENTS)], LONGEST_SECONDS)
    answers = [answer for each in bought for answer in each]
    figure("promise 1", f"stock {STOCK}, {CLIENTS} clients: {counted(map(slug, answers))}")

    outcomes = [slug(answer) for answer in answers]
    assert set(outcomes) == {"201", "409 insufficient-stock"}
    assert outcomes.count("201") == STOCK
    assert {a.json()["status"] for a in answers if a.status_code == 201} == {"confirmed"}
    refused = next(a.json() for a in answers if a.status_code == 409)
    assert refused["lines"] == [{"product_id": product, "requested": 1, "available": 0}]
    assert shop.stock(product) == 0
    wait_until(lambda: ledgers(stack, [product])[product].sold == STOCK)
    assert ledgers(stack, [product])[product].balanced


@pytest.mark.promise(1, minutes=1)
def test_the_last_units_are_sold_once_however_many_reach_for_them(
    stack: Stack, shop: Shop, catalog_ports: Ports
) -> None:
    """Straight at the database: over HTTP on two cores, calls seldom meet inside PostgreSQL."""
    shelf, others = 3, [shop.new_product(stock=MANY)["id"] for _ in range(6)]
    outcomes: list[str] = []
    made: list[str] = []
    for _ in range(SHELVES):
        product = shop.new_product(stock=shelf)["id"]

        def grab(scarce: int = product) -> str:
            lines = [reservations.Line(each, 1) for each in (scarce, *others)]
            mine = new_id()
            made.append(mine)
            try:
                reservations.reserve(catalog_ports, mine, lines, 900)
            except InsufficientStock:
                return "short"
            return "held"

        outcomes += together([grab] * 12)
        ledger = ledgers(stack, [product])[product]
        assert (ledger.available, ledger.held, ledger.balanced) == (0, shelf, True)
    figure("promise 1", f"{SHELVES} x 12 at once for {shelf} units: {counted(outcomes)}")
    for reservation in made:
        reservations.release(catalog_ports, reservation)

    assert Counter(outcomes) == {"held": SHELVES * shelf, "short": SHELVES * (12 - shelf)}
    assert ledgers(stack, others[:1])[others[0]].available == MANY


@pytest.mark.promise(2, minutes=5)
def test_orders_of_the_same_products_in_any_order_do_not_deadlock(
    stack: Stack, shop: Shop, customer: Account
) -> None:
    start = 1_000_000
    products = [shop.new_product(stock=start)["id"] for _ in range(7)]
    headers = {"X-Service-Token": stack.secrets.service_token}
    urls = [stack.services.url(name) for name in ("catalog-1", "catalog-2")]
    deadlocks = _deadlocks(stack)

    def some_lines() -> list[tuple[int, int]]:
        return [(each, random.randint(1, 3)) for each in random.sample(products, 5)]

    def reserve(client: httpx.Client) -> tuple[list[str], list[str]]:
        """Reserve, then sell, give back or keep, each through either instance."""
        statuses, made = [], []
        for _ in range(RESERVATIONS):
            items = [{"product_id": p, "quantity": q} for p, q in some_lines()]
            body = {"id": new_id(), "items": items}
            base = f"{random.choice(urls)}/api/reservations"
            statuses.append(client.post(base, json=body))
            made.append(body["id"])
            one = f"{random.choice(urls)}/api/reservations/{body['id']}"
            after = random.choice(["commit", "release", "keep"])
            if after == "commit":
                statuses.append(client.post(f"{one}/commit"))
            elif after == "release":
                statuses.append(client.delete(one))
        return [slug(answer) for answer in statuses], made

    def check_out(own: Shop) -> tuple[list[str], list[str]]:
        carts = [own.new_cart(*some_lines()) for _ in range(CHECKOUTS // 4)]
        return [_bought(own, customer, cart) for cart in carts], []

    clients = [httpx.Client(headers=headers, timeout=30, trust_env=False) for _ in range(RESERVERS)]
    with own_shops(stack, 4) as shops:
        works: list[Callable[[], tuple[list[str], list[str]]]] = [
            *(lambda c=c: reserve(c) for c in clients),
            *(lambda s=s: check_out(s) for s in shops),
        ]
        done = together(works, LONGEST_SECONDS)
    statuses = [status for each, _ in done for status in each]
    waited = _deadlocks(stack) - deadlocks
    figure("promise 2", f"5 of 7 products each: {counted(statuses)}; deadlocks inside: {waited}")

    assert set(statuses) == {"201", "204"}
    assert waited == 0  # the locks are taken in one order: not even one that is tried again
    after = ledgers(stack, products)
    assert all(each.balanced and each.brought == start for each in after.values()), after
    _give_back(clients[0], urls[0], [each for _, made in done for each in made])
    for client in clients:
        client.close()
    assert all(each.balanced for each in ledgers(stack, products).values())


def _bought(own: Shop, user: Account, cart: str) -> str:
    """The last word on a checkout; one that was not finished in time is asked for again."""
    key, said = new_id(), [""]

    def ask() -> bool:
        said[0] = slug(own.checkout(user, cart, key=key))
        return said[0] not in ("503 checkout-unfinished", "409 in-progress")

    wait_until(ask, 60)
    return said[0]


def _deadlocks(stack: Stack) -> int:
    found = stack.cluster.query("SELECT deadlocks FROM pg_stat_database WHERE datname = 'catalog'")
    return int(str(found[0][0]))


def _give_back(client: httpx.Client, url: str, reservations: list[str]) -> None:
    """Leave nothing held or sold for orders that never were."""
    for reservation in reservations:
        assert client.delete(f"{url}/api/reservations/{reservation}").status_code == 204
