"""`make demo-branches`: what branches do when they race, are cut off, and are lied to."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from local import branches
from local.branches import stacks
from local.errors import StackError
from local.http_call import Answer, call
from local.process import Stage
from local.progress import Progress, Silent
from local.report import CUSTOMER_EMAIL, OPERATOR_EMAIL
from local.settings import Settings, read_settings
from local.stack import Stack

_TIMEOUT = 20.0
_PATIENCE = 120.0


class Client:
    """A customer and an operator at one branch."""

    def __init__(self, stack: Stack) -> None:
        self.name = stack.settings.node_name
        self._url = f"http://127.0.0.1:{stack.settings.port}"
        password = stack.secrets.demo_password
        self.customer = self._login(CUSTOMER_EMAIL, password)
        self.operator = self._login(OPERATOR_EMAIL, password)

    def _login(self, email: str, password: str) -> dict[str, str]:
        body = {"email": email, "password": password}
        tokens = self.call("POST", "/auth/login", body, expect=200).json
        return {"Authorization": f"Bearer {tokens['access_token']}"}

    def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        *,
        expect: int | None = None,
    ) -> Answer:
        """One request to this branch's gateway."""
        try:
            answer = call(method, self._url + path, body, headers, timeout=_TIMEOUT)
        except OSError as error:
            raise StackError(f"{self.name}: {method} {path} got no answer: {error}") from None
        if expect not in (None, answer.status):
            raise StackError(f"{self.name}: {method} {path} answered {answer.status}")
        return answer

    def new_product(self, stock: int) -> dict[str, Any]:
        """A product of the demo's own."""
        body = {
            "sku": f"DEMO-{uuid.uuid4().hex[:10].upper()}",
            "name": "Bolo da demonstração",
            "category_id": 1,
            "price_cents": 4990,
            "stock": stock,
        }
        product: dict[str, Any] = self.call(
            "POST", "/api/products", body, self.operator, expect=201
        ).json
        return product

    def order(self, product_id: int) -> int:
        """Buy one unit; the status of the answer."""
        cart = self.call("POST", "/api/carts", {}, expect=201).json["id"]
        line = {"product_id": product_id, "quantity": 1}
        if (added := self.call("POST", f"/api/carts/{cart}/items", line)).status != 200:
            return added.status
        return self.checkout(cart)

    def checkout(self, cart: str) -> int:
        """Order a cart; the status of the answer."""
        body = {"cart_id": cart, "payment": {"method": "card", "token": "tok_ok"}}
        key = {"Idempotency-Key": uuid.uuid4().hex}
        return self.call("POST", "/api/orders", body, self.customer | key).status

    def seen(self, sku: str) -> dict[str, int]:
        """What this branch knows of everybody's stock of a product."""
        # Past every cache and standby.
        latest = {"X-Consistency-Token": "catalog:FFFFFFFF/FFFFFFFF"}
        listed = "/api/products?sort=newest&limit=20"
        newest = self.call("GET", listed, headers=latest).json["items"]
        # Ids are of one branch only.
        found = [product["id"] for product in newest if product["sku"] == sku]
        if not found:
            return {}
        path = f"/api/products/{found[0]}/stock"
        rows = self.call("GET", path, headers=latest).json["branches"]
        return {row["branch"]: row["stock"] for row in rows}

    def pending(self, peer: str) -> int:
        """Events that a peer has not had yet, of both services."""
        status = self.call("GET", "/status").json
        return sum(status[each]["peers"][peer]["pending"] or 0 for each in ("catalog", "orders"))


@dataclass(frozen=True)
class Scene:
    """What one scenario came to: its name, and what was counted and seen in it."""

    name: str
    facts: dict[str, Any]


def run() -> int:
    """Play the scenarios on the branches that run here, or on two that are started for it."""
    play(Progress(), read_settings())
    return 0


def play(progress: Silent, base: Settings) -> list[Scene]:
    """Play them on the branches of this home. Raises StackError at what must not be."""
    with _two_branches(progress, base) as (one, other):
        here, there = Client(one), Client(other)
        return [
            _last_unit(progress, here),
            _cut_off(progress, here, there, other),
            _forged(progress, here, there),
            _transfer(progress, here, there),
        ]


@contextmanager
def _two_branches(progress: Silent, base: Settings) -> Iterator[tuple[Stack, Stack]]:
    running = branches.open_ones(base)
    if len(running) == 1:
        raise StackError("one branch alone runs here: the demo needs two")
    if running:
        chosen = list(running)[:2]
        # With the processes as they were configured, so that some can be stopped and started.
        one, other = (s for s in stacks(base, len(running)) if s.settings.node_name in chosen)
        yield one, other
        return
    started = stacks(base, 2)
    try:
        for stack in started:
            with progress.step(f"Branch {stack.settings.node_name} is open"):
                stack.up()
        yield started[0], started[1]
    finally:
        for stack in started:
            stack.down()


def _last_unit(progress: Silent, here: Client) -> Scene:
    progress.say("\n1. Two customers of one branch order the last unit at the same moment.")
    product = here.new_product(stock=1)
    carts = []
    for _ in range(2):
        cart = here.call("POST", "/api/carts", {}, expect=201).json["id"]
        line = {"product_id": product["id"], "quantity": 1}
        here.call("POST", f"/api/carts/{cart}/items", line, expect=200)
        carts.append(cart)
    with ThreadPoolExecutor(2) as pool:
        answers = sorted(pool.map(here.checkout, carts))
    stock = here.seen(product["sku"])
    progress.say(f"   answers: {answers[0]} and {answers[1]}; stock {stock}")
    _must(answers == [201, 409], "one of them must get it, and one must not")
    return Scene("last-unit", {"answers": answers, "stock": stock})


def _cut_off(progress: Silent, here: Client, there: Client, other: Stack) -> Scene:
    progress.say(f"\n2. {there.name} is stopped. {here.name} goes on selling.")
    product = here.new_product(stock=10)
    sku = product["sku"]
    _wait(lambda: there.seen(sku).get(here.name) == 10, f"{there.name} hears of {sku}")
    stopped = _services(other)
    other.supervisor.stop_processes(stopped, lambda: True)
    sold = sum(here.order(product["id"]) == 201 for _ in range(5))
    pending = here.pending(there.name)
    progress.say(
        f"   {sold} of 5 orders at {here.name} went through; stock {here.seen(sku)};"
        f" {pending} events wait for {there.name}"
    )
    _must(sold == 5 and pending > 0, "orders go on and events wait")
    began = time.monotonic()
    for name in stopped:
        other.supervisor.start_process(name)
    _wait(lambda: _answers(there), f"{there.name} answers again")
    progress.say(f"   {there.name} is started again")
    _wait(lambda: here.pending(there.name) == 0, "the queue drains")
    _wait(lambda: there.seen(sku) == here.seen(sku), "both branches agree")
    seconds, mine, theirs = time.monotonic() - began, here.seen(sku), there.seen(sku)
    progress.say(
        f"   the queue is empty after {seconds:.1f} s; {here.name} sees"
        f" {mine}, {there.name} sees {theirs}"
    )
    facts = {"sold": sold, "pending": pending, "seconds": seconds, "here": mine, "there": theirs}
    return Scene("cut-off", facts)


def _services(stack: Stack) -> list[str]:
    stages = stack.supervisor.stages()
    return [name for name, stage in stages.items() if stage > Stage.STORES]


def _answers(client: Client) -> bool:
    try:
        return (
            client.call("GET", "/status").status == 200
            and client.call("GET", "/api/products?limit=1").status == 200
        )
    except StackError:
        return False


def _forged(progress: Silent, here: Client, there: Client) -> Scene:
    progress.say(f"\n3. Somebody tells {here.name} that {there.name} has 999 units.")
    product = here.new_product(stock=3)
    event = {
        "specversion": "1.0",
        "id": f"forged-{uuid.uuid4().hex}",
        "source": f"/{there.name}/catalog",
        "type": "stock_update",
        "subject": product["sku"],
        "time": "2026-01-01T00:00:00Z",
        "lamport": 1,
        "data": {"sku": product["sku"], "branch": there.name, "available": 999, "version": 99},
    }
    _wait(lambda: there.seen(product["sku"]).get(here.name) == 3, "both know the product")
    before = here.seen(product["sku"])
    tries = {
        "without a token": {},
        "with an operator's JWT": here.operator,
        "with a JWT for a token": {
            "X-Replica-Token": here.operator["Authorization"].removeprefix("Bearer ")
        },
        "with a guessed token": {"X-Replica-Token": uuid.uuid4().hex},
    }
    answers = []
    for how, headers in tries.items():
        status = here.call("POST", "/replica/event", event, headers).status
        progress.say(f"   {how}: {status}")
        _must(status in (401, 403), "a forged event must be refused")
        answers.append(status)
    after = here.seen(product["sku"])
    progress.say(f"   stock before {before}, after {after}")
    _must(after.get(there.name) != 999, "nothing may change")
    return Scene("forged", {"answers": answers, "before": before, "after": after})


def _transfer(progress: Silent, here: Client, there: Client) -> Scene:
    progress.say(f"\n4. {here.name} sends 4 of 10 units to {there.name}.")
    product = here.new_product(stock=10)
    sku = product["sku"]
    body = {"sku": sku, "to": there.name, "quantity": 4}
    sent = here.call("POST", "/api/stock-transfers", body, here.operator, expect=201).json
    wanted = {here.name: 6, there.name: 4}
    _wait(lambda: _only(here.seen(sku), wanted) == wanted, f"{here.name} sees both")
    _wait(lambda: _only(there.seen(sku), wanted) == wanted, f"{there.name} sees both")
    progress.say(f"   transfer {sent['id']}: both branches see {wanted}")
    return Scene("transfer", {"quantity": 4, "seen": wanted})


def _only(seen: dict[str, int], wanted: dict[str, int]) -> dict[str, int]:
    return {name: units for name, units in seen.items() if name in wanted}


def _must(so: bool, what: str) -> None:
    if not so:
        raise StackError(f"the demo shows the contrary: {what}")


def _wait(condition: Callable[[], bool], what: str) -> None:
    limit = time.monotonic() + _PATIENCE
    while not condition():
        if time.monotonic() > limit:
            raise StackError(f"not within {_PATIENCE:.0f} s: {what}")
        time.sleep(0.2)
