"""Shoppers who fill carts and buy at a steady rate, and readers who look at products."""

from __future__ import annotations

import json
import random
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from loadtests.drills.journal import Call, Journal, Purchase
from local.errors import StackError

# A token sends a read past the gateway's cache, so that it is the catalog that answers.
PAST_THE_CACHE = {"X-Consistency-Token": "catalog:0/0"}
PASSWORD = "uma-senha-de-simulado"
READERS = 2
READ_PAUSE_SECONDS = 0.2
# A shopper waits as long as an answer says, within reason.
LONGEST_PAUSE_SECONDS = 2.0
# Longer than the gateway waits for a checkout.
ANSWER_SECONDS = 30.0
# An access token is renewed before a drill when it is this old; it lives for 15 minutes.
STALE_SECONDS = 240.0
# Every so many purchases, the key is sent once more after its answer.
REPLAYED = 10


@dataclass
class Reply:
    """Status (0: none), body and pause that an answer asks for."""

    status: int
    body: Any = None
    retry_after: float | None = None


class Client:
    """One person's connection to the gateway; not for several threads."""

    def __init__(self, url: str) -> None:
        self._pool = urllib3.connection_from_url(
            url, retries=False, timeout=urllib3.Timeout(connect=5, read=ANSWER_SECONDS)
        )

    def ask(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Reply:
        """Send one request, once."""
        data = None if body is None else json.dumps(body).encode()
        kind = {} if body is None else {"Content-Type": "application/json"}
        try:
            answer = self._pool.request(method, path, body=data, headers=kind | (headers or {}))
            pause = answer.headers.get("Retry-After", "")
            document = json.loads(answer.data) if answer.data else None
        except (HTTPError, ValueError):
            return Reply(0)
        return Reply(answer.status, document, float(pause) if pause.isdigit() else None)

    def must(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> Any:
        """The body of a success, asked for again for a minute; raises StackError."""
        limit = time.monotonic() + 60
        while (reply := self.ask(method, path, body, headers)).status in (0, 429, 502, 503, 504):
            if time.monotonic() > limit:
                break
            time.sleep(min(reply.retry_after or 0.5, LONGEST_PAUSE_SECONDS))
        if not 200 <= reply.status < 300:
            said = (
                f"answered {reply.status}: {str(reply.body)[:300]}"
                if reply.status
                else "got no answer"
            )
            raise StackError(f"{method} {path} {said}")
        return reply.body


class Account:
    """A user who is logged in, and stays so."""

    def __init__(self, url: str, email: str, password: str) -> None:
        self.client = Client(url)
        self.email = email
        credentials = {"email": email, "password": password}
        self._take(self.client.must("POST", "/auth/login", credentials))

    @classmethod
    def new(cls, url: str) -> Account:
        """Register a customer with a fresh address."""
        email = f"simulado-{uuid.uuid4().hex[:16]}@example.com"
        body = {"email": email, "password": PASSWORD, "name": "Simulado"}
        Client(url).must("POST", "/auth/register", body)
        return cls(url, email, PASSWORD)

    def _take(self, tokens: dict[str, Any]) -> None:
        self.headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        self._refresh_token = tokens["refresh_token"]
        self._since = time.monotonic()

    def must(self, method: str, path: str, body: Any = None) -> Any:
        """As `Client.must`, as this user."""
        return self.client.must(method, path, body, self.headers)

    def freshen(self) -> None:
        """Renew the access token if it is not new."""
        if time.monotonic() - self._since > STALE_SECONDS:
            body = {"refresh_token": self._refresh_token}
            self._take(self.client.must("POST", "/auth/refresh", body))


@dataclass(frozen=True)
class Shelf:
    """What is for sale in one drill: one product for everybody, and one that will run out."""

    plenty: int
    scarce: int
    supplied: dict[int, int]


@dataclass
class Load:
    """A load that is under way."""

    journal: Journal = field(default_factory=Journal)
    closing: threading.Event = field(default_factory=threading.Event)
    # Set when even unfinished purchases are given up.
    over: threading.Event = field(default_factory=threading.Event)


@contextmanager
def load(
    url: str, people: list[Account], shelf: Shelf, rate: float, finish_seconds: float
) -> Iterator[Load]:
    """Purchases at a rate, until the end of the block.

    At the end nobody begins another purchase, and each goes on with the one it has until its
    outcome is known.

    Args:
        people: one shopper each.
        rate: purchases a second, all shoppers together.
        finish_seconds: how long an unfinished purchase is tried again at the end.
    """
    running = Load()
    threads = [
        threading.Thread(
            target=_shop, args=(url, running, who, shelf, len(people) / rate, at), daemon=True
        )
        for at, who in enumerate(people)
    ]
    threads += [
        threading.Thread(target=_read, args=(url, running, shelf), daemon=True)
        for _ in range(READERS)
    ]
    for thread in threads:
        thread.start()
    try:
        yield running
    except BaseException:
        # Whatever is broken is not to wait for them.
        running.over.set()
        raise
    finally:
        running.closing.set()
        _join(threads, 0 if running.over.is_set() else finish_seconds)
        if not running.over.is_set():
            running.over.set()
            _join(threads, ANSWER_SECONDS + 10)


def _join(threads: list[threading.Thread], seconds: float) -> None:
    limit = time.monotonic() + seconds
    for thread in threads:
        thread.join(max(0.0, limit - time.monotonic()))


def _read(url: str, load: Load, shelf: Shelf) -> None:
    client = Client(url)
    while not load.closing.wait(READ_PAUSE_SECONDS):
        _logged(load, client, "read", "GET", f"/api/products/{shelf.plenty}", None, PAST_THE_CACHE)


def _shop(url: str, load: Load, who: Account, shelf: Shelf, pause: float, place: int) -> None:
    client = Client(url)
    # They start one after the other, and nobody makes up for purchases that were not possible.
    begin = time.monotonic() + pause * random.random()
    count = place
    while not load.closing.wait(max(0.0, begin - time.monotonic())):
        begin = max(begin + pause, time.monotonic())
        count += 1
        wanted = {shelf.plenty: 1} | ({shelf.scarce: 1} if count % 4 == 0 else {})
        cart = _fill_cart(load, client, wanted)
        if cart is None:
            load.closing.wait(0.5)
            continue
        purchase = _buy(load, client, who, *cart)
        if purchase.order_id and count % REPLAYED == 0:
            _replay(load, client, who, purchase)


def _fill_cart(
    load: Load, client: Client, wanted: dict[int, int]
) -> tuple[str, dict[int, int]] | None:
    """A cart with what could be had; its id and what is in it. None if nothing was put in."""
    made = _logged(load, client, "cart", "POST", "/api/carts")
    if made.status != 201:
        return None
    filled = {}
    for product, quantity in wanted.items():
        body = {"product_id": product, "quantity": quantity}
        path = f"/api/carts/{made.body['id']}/items"
        reply = _logged(load, client, "cart", "POST", path, body)
        if reply.status == 200:
            filled[product] = quantity
        elif reply.status != 409:
            # Whether it was put in is not known: leave this cart, and take another one.
            return None
    return (made.body["id"], filled) if filled else None


def _buy(load: Load, client: Client, who: Account, cart: str, units: dict[int, int]) -> Purchase:
    body: dict[str, Any] = {"cart_id": cart, "payment": {"method": "card", "token": "tok_ok"}}
    purchase = Purchase(who.email, uuid.uuid4().hex, body, units, time.monotonic())
    load.journal.purchases.append(purchase)
    headers = {**who.headers, "Idempotency-Key": purchase.key}
    while not purchase.known and not load.over.is_set():
        purchase.attempts += 1
        reply = _logged(load, client, "order", "POST", "/api/orders", body, headers)
        if reply.status == 201:
            purchase.acknowledged = time.monotonic()
            purchase.order_id = reply.body["id"]
        elif _again(reply):
            load.over.wait(min(reply.retry_after or 0.5, LONGEST_PAUSE_SECONDS))
        else:
            purchase.refused = reply.status
    return purchase


def _again(reply: Reply) -> bool:
    """Whether the same key is to be sent again: nothing is known yet, or it is at work."""
    at_work = reply.status == 409 and reply.body["type"] == "/problems/in-progress"
    return reply.status in (0, 429) or reply.status >= 500 or at_work


def _replay(load: Load, client: Client, who: Account, purchase: Purchase) -> None:
    headers = {**who.headers, "Idempotency-Key": purchase.key}
    reply = _logged(load, client, "order", "POST", "/api/orders", purchase.body, headers)
    if reply.status == 201:
        load.journal.replays.append((purchase, reply.body["id"]))


def _logged(
    load: Load,
    client: Client,
    kind: str,
    method: str,
    path: str,
    body: Any = None,
    headers: dict[str, str] | None = None,
) -> Reply:
    began = time.monotonic()
    reply = client.ask(method, path, body, headers)
    said_when = reply.retry_after is not None
    load.journal.calls.append(Call(kind, began, time.monotonic(), reply.status, said_when))
    return reply
