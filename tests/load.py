"""Shoppers who buy without pause, and a log of how each of their requests ended."""

from __future__ import annotations

import itertools
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import httpx

from tests.figures import INDENT
from tests.shop import Account, Shop

# No cache and no connection of another shopper: a token makes every read the service's.
PAST_THE_CACHE = {"X-Consistency-Token": "catalog:0/0"}


@dataclass
class Log:
    """What came back, by time on the monotonic clock."""

    answers: list[tuple[float, str, int]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)
    orders: list[tuple[float, Account, dict[str, Any]]] = field(default_factory=list)
    stop: threading.Event = field(default_factory=threading.Event)

    def note(self, kind: str, method: str, path: str, status: int, text: str) -> None:
        """Note how a request ended; a status of 0 is no answer at all."""
        self.answers.append((time.monotonic(), f"{kind} {method} {path}", status))
        if not _good(status):
            self.complaints.append(f"{datetime.now(UTC):%T.%f} {method} {path} {text}")

    def failures(self, kind: str = "") -> list[tuple[float, str, int]]:
        """Requests without a usable answer: 5xx, or 0 for none at all."""
        return [each for each in self.answers if each[1].startswith(kind) and not _good(each[2])]

    def between(self, start: float, end: float) -> int:
        """How many requests were answered in a span of time."""
        return sum(start <= at < end for at, _, _ in self.answers)


def report(text: str) -> None:
    """Show figures beside the test's name."""
    sys.stdout.write(f"\n{INDENT}{text}")


def _good(status: int) -> bool:
    return 200 <= status < 500


@contextmanager
def load(
    shop: Shop, shoppers: int, pause: float, *, readers: int = 0, rate: float = 1.0
) -> Iterator[Log]:
    """Shoppers at work until the end of the block.

    Args:
        shoppers: how many there are; each reads, fills a cart and buys, in turn.
        pause: seconds between two requests of one of them.
        readers: how many only read, in turn, what each of the three services has.
        rate: their requests a second, all in all.
    """
    log = Log()
    product = shop.new_product(stock=1_000_000)["id"]
    people = [shop.new_user() for _ in range(shoppers)]
    threads = [
        threading.Thread(target=_shop_on, args=(shop, log, user, product, pause), daemon=True)
        for user in people
    ]
    for _ in range(readers):
        visitor = (shop, log, shop.new_user(), product, readers / rate)
        threads.append(threading.Thread(target=_look_around, args=visitor, daemon=True))
    for thread in threads:
        thread.start()
    try:
        yield log
    finally:
        log.stop.set()
        for thread in threads:
            thread.join(timeout=60)


def _look_around(shop: Shop, log: Log, user: Account, product: int, interval: float) -> None:
    paths = (
        (f"/api/products/{product}", PAST_THE_CACHE),
        (f"/api/carts/{shop.new_cart((product, 1))}", {}),
        ("/api/orders?limit=1", user.headers),
    )
    due = time.monotonic()
    with httpx.Client(base_url=shop.stack.url, timeout=30, trust_env=False) as http:
        for path, headers in itertools.cycle(paths):
            # By the clock: a slow answer is made up for, as far as one connection can.
            due = max(due + interval, time.monotonic() - 1)
            if log.stop.wait(max(0.0, due - time.monotonic())):
                return
            try:
                answer = http.get(path, headers=headers)
            except httpx.HTTPError as error:
                log.note("read", "GET", path, 0, repr(error))
            else:
                log.note("read", "GET", path, answer.status_code, answer.text)


def _shop_on(shop: Shop, log: Log, user: Account, product: int, pause: float) -> None:
    with httpx.Client(base_url=shop.stack.url, timeout=30, trust_env=False) as http:

        def ask(kind: str, method: str, path: str, **extra: Any) -> httpx.Response | None:
            log.stop.wait(pause)
            try:
                answer = http.request(method, path, **extra)
            except httpx.HTTPError as error:
                log.note(kind, method, path, 0, repr(error))
                return None
            log.note(kind, method, path, answer.status_code, answer.text)
            return answer if answer.is_success else None

        while not log.stop.is_set():
            ask("read", "GET", f"/api/products/{product}", headers=PAST_THE_CACHE)
            cart = ask("cart", "POST", "/api/carts")
            if cart is None:
                continue
            path = f"/api/carts/{cart.json()['id']}"
            ask("cart", "POST", f"{path}/items", json={"product_id": product, "quantity": 1})
            body = {"cart_id": cart.json()["id"], "payment": {"method": "card", "token": "tok_ok"}}
            # The same key until it is known what became of it, as the contract asks of a client.
            headers = {**user.headers, "Idempotency-Key": uuid.uuid4().hex}
            while not log.stop.is_set():
                order = ask("order", "POST", "/api/orders", json=body, headers=headers)
                if order is not None:
                    log.orders.append((time.monotonic(), user, order.json()))
                    break
