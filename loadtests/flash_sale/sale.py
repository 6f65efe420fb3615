"""The sale: carts are filled, the doors open, and everybody asks until they have it or cannot."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Generator
from contextlib import closing
from urllib.parse import urlsplit

from loadtests.bench.flows import Answer, request
from loadtests.drills.shoppers import Account
from loadtests.flash_sale.crowd import Crowd, Plan, Shopper
from loadtests.flash_sale.outcome import Outcome, summed_up
from loadtests.report import shop
from local.errors import StackError

# A token that no standby can have replayed sends a read to the primary.
LATEST = {"X-Consistency-Token": "catalog:FFFFFFFF/FFFFFFFF"}
# Several shoppers share an account: it is carts and keys that differ.
ACCOUNTS = 50
LONGEST_PAUSE = 10.0
FILLING_AT_ONCE = 16
FILL_SECONDS, SALE_SECONDS = 300.0, 600.0


def hold(
    url: str, admin: tuple[str, str], shoppers: int, units: int, say: Callable[[str], None]
) -> Outcome:
    """Sell `units` of a new product to `shoppers` who come at the same moment.

    Raises StackError when the shop does not take part, or not everybody gets a last word.
    """
    at = urlsplit(url)
    manager = Account(url, *admin)
    product = shop.new_product(manager, stock=units)
    people = [Account.new(url) for _ in range(min(ACCOUNTS, shoppers))]
    tokens = [shop.token_of(each) for each in people]
    with closing(Crowd((at.hostname or "", at.port or 80), shoppers)) as crowd:
        say(f"{shoppers} carts are filled")
        carts: dict[int, str] = {}
        plans = ((each, _fill(each, product["id"], carts)) for each in crowd.shoppers)
        crowd.follow(plans, FILLING_AT_ONCE, FILL_SECONDS)
        say(f"{shoppers} shoppers want {units} units")
        # Who comes first is nobody's merit.
        order = random.sample(crowd.shoppers, shoppers)
        crowd.connect()
        opened = time.monotonic()
        buying = ((each, _buy(each, tokens[each.number % len(tokens)], carts)) for each in order)
        crowd.follow(buying, shoppers, SALE_SECONDS)
        seconds = time.monotonic() - opened
    stock = manager.client.must("GET", f"/api/products/{product['id']}/stock", headers=LATEST)
    shop.retire(manager, [product])
    return summed_up(order, units, opened, seconds, stock["stock"])


def _fill(shopper: Shopper, product: int, carts: dict[int, str]) -> Plan:
    """One unit in a cart of one's own; raises StackError when that is not to be had."""
    opened: Answer = yield from _until(request("POST", "/api/carts"), 201)
    carts[shopper.number] = json.loads(opened.body)["id"]
    path = f"/api/carts/{carts[shopper.number]}/items"
    yield from _until(request("POST", path, {"product_id": product, "quantity": 1}), 200)


def _until(asked: bytes, status: int) -> Generator[bytes | float, Answer | None, Answer]:
    """Ask until the answer is the wanted one; a few times."""
    for _ in range(5):
        answer = yield asked
        if answer is not None and answer.status == status:
            return answer
        yield 0.5
    said = answer.status if answer else "nothing"
    raise StackError(f"a shopper was answered {said} before the sale")


def _buy(shopper: Shopper, token: str, carts: dict[int, str]) -> Plan:
    """Check out, and come again for as long as one is told to."""
    cart = carts[shopper.number]
    # Key and cart are the same text: a cart is bought once.
    asked = request(
        "POST",
        "/api/orders",
        {"cart_id": cart, "payment": {"method": "card", "token": "tok_ok"}},
        {"Authorization": f"Bearer {token}", "Idempotency-Key": cart},
    )
    while True:
        answer = yield asked
        shopper.told = time.monotonic()
        shopper.first_sent = shopper.first_sent or shopper.sent
        shopper.answers.append((answer.status if answer else 0, shopper.told - shopper.sent))
        if answer is not None and _is_last(answer):
            shopper.outcome = answer.status
            return
        pause = max(1.0, answer.retry_after if answer else 0.0)
        # Longer each time, as clients should, and not all of them again at the same moment.
        yield min(pause * 2 ** len(shopper.answers), LONGEST_PAUSE) * random.uniform(0.5, 1.0)


def _is_last(answer: Answer) -> bool:
    """Whether there is nothing more to ask; a key at work, or a full shop, will do later."""
    if answer.status == 409:
        return bool(json.loads(answer.body)["type"] != "/problems/in-progress")
    return answer.status != 429 and answer.status < 500
