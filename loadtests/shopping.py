"""What the load test's users share: asking, checking answers, and what counts as what."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from locust import FastHttpUser
from locust.exception import RescheduleTask

from loadtests.thresholds import LIMITED

LIMITED_NAME = f"{LIMITED}: 429"
LONGEST_PAUSE = 5.0


class Wrong(Exception):
    """An answer that is not what was asked for, though its status may be."""


class SoldOut(Exception):
    """Somebody else was quicker: no fault of the shop, and counted under a name of its own."""


def require(holds: bool, text: str) -> None:
    """Count the request as failed unless this holds."""
    if not holds:
        raise Wrong(text)


class Shopper(FastHttpUser):
    """Asks, checks, and thinks in between. A wrong answer ends the task it belongs to."""

    abstract = True
    network_timeout = 30.0
    connection_timeout = 10.0
    headers: dict[str, str]

    def on_start(self) -> None:
        """Begin as a guest."""
        self.headers = {}

    def wait_time(self) -> float:
        """1 to 4 seconds between tasks, times --think."""
        return random.uniform(1, 4) * float(self.environment.parsed_options.think)

    def think(self) -> None:
        """A short look at what there is, within a task."""
        time.sleep(random.uniform(0.3, 1.5) * self.environment.parsed_options.think)

    @contextmanager
    def asking(
        self,
        name: str,
        method: str,
        path: str,
        *,
        expect: int = 200,
        body: Any = None,
        headers: dict[str, str] | None = None,
    ) -> Iterator[Any]:
        """One request; inside the block its document is checked with `require`.

        A 429 is counted in a group of its own, and so is a 409 because others bought the rest.
        """
        with self.client.request(
            method,
            path,
            name=name,
            json=body,
            headers=self.headers | (headers or {}),
            catch_response=True,
        ) as response:
            try:
                if response.status_code == 429:
                    response.request_meta["name"] = LIMITED_NAME
                    response.success()
                    self._pause(response.headers.get("Retry-After"))
                    raise RescheduleTask
                yield _document(response, expect)
                response.success()
            except SoldOut:
                response.request_meta["name"] = f"{name} (sold out)"
                response.success()
                raise RescheduleTask from None
            except Wrong as wrong:
                response.failure(str(wrong))
                raise RescheduleTask from None

    def _pause(self, seconds: str | None) -> None:
        wanted = float(seconds) if seconds and seconds.isdigit() else 1.0
        time.sleep(min(wanted, LONGEST_PAUSE))

    def open_cart(self) -> str:
        """A new cart; its id."""
        with self.asking("cart: open", "POST", "/api/carts", expect=201) as cart:
            require(cart["items"] == [] and cart["total_cents"] == 0, "a new cart is not empty")
        return str(cart["id"])

    def add(self, cart_id: str, product: dict[str, Any], quantity: int) -> dict[str, Any]:
        """Put a product that is not in a cart yet into it; the cart."""
        body = {"product_id": product["id"], "quantity": quantity}
        path = f"/api/carts/{cart_id}/items"
        with self.asking("cart: add", "POST", path, body=body) as cart:
            lines = {line["product_id"]: line for line in cart["items"]}
            require(product["id"] in lines, "the product is not in the cart")
            require(lines[product["id"]]["quantity"] == quantity, "another quantity")
            check_total(cart)
        return dict(cart)

    def choose(self) -> list[dict[str, Any]]:
        """Some products in stock, from a page of the list that others look at as well."""
        sort = random.choice(("name", "-name", "price", "-price"))
        path = f"/api/products?in_stock=true&sort={sort}&limit=40"
        with self.asking("browse: list", "GET", path) as found:
            require(0 < len(found["items"]) <= 40, f"{len(found['items'])} products")
            require(all(each["stock"] > 0 for each in found["items"]), "not in stock")
        return random.sample(found["items"], min(3, len(found["items"])))

    def place(
        self, cart: dict[str, Any], name: str, **more: Any
    ) -> AbstractContextManager[dict[str, Any]]:
        """Check a cart out; a context manager like `asking`, with a key that is the cart's id."""
        body = {"cart_id": cart["id"], "payment": {"method": "card", "token": "tok_ok"}}
        headers = {"Idempotency-Key": cart["id"], **more.pop("headers", {})}
        return self.asking(name, "POST", "/api/orders", body=body, headers=headers, **more)

    def join(self) -> None:
        """Register, log in, and be that customer from now on."""
        email = f"carga-{uuid.uuid4().hex[:16]}@example.com"
        body = {"email": email, "password": "uma-senha-bem-comprida", "name": "Ana Souza"}
        path = "/auth/register"
        with self.asking("account: register", "POST", path, expect=201, body=body) as me:
            require(me["email"] == email and me["role"] == "customer", "somebody else")
        self.log_in(email, body["password"])

    def log_in(self, email: str, password: str) -> None:
        """Be this user from now on."""
        body = {"email": email, "password": password}
        with self.asking("account: login", "POST", "/auth/login", body=body) as tokens:
            require(tokens["token_type"] == "Bearer", "no bearer token")
        self.headers = {"Authorization": f"Bearer {tokens['access_token']}"}


def check_total(document: dict[str, Any]) -> None:
    """Its total is the sum of its lines."""
    lines = sum(line["quantity"] * line["unit_price_cents"] for line in document["items"])
    require(document["total_cents"] == lines, f"{document['total_cents']} instead of {lines} cents")


def _document(response: Any, expect: int) -> Any:
    status = response.status_code
    if status == 0:
        raise Wrong(f"no answer: {response.error}")
    try:
        document = response.json() if response.text else None
    except ValueError:
        raise Wrong(f"{status}: not JSON") from None
    if status != expect:
        problem = document if isinstance(document, dict) else {}
        if problem.get("type") == "/problems/insufficient-stock":
            raise SoldOut
        raise Wrong(f"{status} instead of {expect}: {problem.get('detail', '')}")
    return document
