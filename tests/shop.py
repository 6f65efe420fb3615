"""A client's view of Feira for tests: accounts, products, carts and orders through the gateway."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx

from local.stack import Stack

Value = TypeVar("Value")
PASSWORD = "uma-senha-bem-comprida"
ADDRESS = {
    "recipient": "Ana Souza",
    "street": "Rua das Flores",
    "number": "10",
    "city": "Campinas",
    "state": "SP",
    "postal_code": "13010-000",
}


@dataclass
class Account:
    """A user who is logged in."""

    id: str
    email: str
    password: str
    name: str
    token: str
    refresh_token: str

    @property
    def headers(self) -> dict[str, str]:
        """What makes a request this user's."""
        return {"Authorization": f"Bearer {self.token}"}


def wait_until(condition: Callable[[], Value], seconds: float = 15.0) -> Value:
    """The first true value of `condition`, asked again and again; fails after `seconds`."""
    limit = time.monotonic() + seconds
    while not (value := condition()):
        assert time.monotonic() < limit, f"still not so after {seconds} s"
        time.sleep(0.02)
    return value


class Shop:
    """The steps of a purchase, each one request through the gateway."""

    def __init__(self, stack: Stack, http: httpx.Client) -> None:
        self.stack = stack
        self.http = http
        self._operator: Account | None = None

    def new_user(self, name: str = "Ana Souza") -> Account:
        """Register a customer with a fresh address and log in."""
        email = f"ana-{uuid.uuid4().hex[:12]}@example.com"
        body = {"email": email, "password": PASSWORD, "name": name}
        answer = self.http.post("/auth/register", json=body)
        assert answer.status_code == 201, answer.text
        return self.login(email, PASSWORD)

    def login(self, email: str, password: str) -> Account:
        """Log in and find out who that is."""
        answer = self.http.post("/auth/login", json={"email": email, "password": password})
        assert answer.status_code == 200, answer.text
        tokens = answer.json()
        headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        me = self.http.get("/auth/me", headers=headers).json()
        return Account(
            me["id"],
            email,
            password,
            me["name"],
            tokens["access_token"],
            tokens["refresh_token"],
        )

    @property
    def operator(self) -> Account:
        """The demo operator."""
        if self._operator is None:
            secret = self.stack.secrets.demo_password
            self._operator = self.login("operador@feira.local", secret)
        return self._operator

    def new_product(
        self, stock: int = 10, price_cents: int = 1000, **fields: Any
    ) -> dict[str, Any]:
        """A product of this test's own."""
        body = {
            "sku": f"T-{uuid.uuid4().hex[:16].upper()}",
            "name": "Produto de teste",
            "category_id": 1,
            "price_cents": price_cents,
            "stock": stock,
            **fields,
        }
        answer = self.http.post("/api/products", json=body, headers=self.operator.headers)
        assert answer.status_code == 201, answer.text
        product: dict[str, Any] = answer.json()
        return product

    def new_cart(self, *lines: tuple[int, int]) -> str:
        """A cart with these (product id, quantity) lines; its id."""
        cart_id: str = self.http.post("/api/carts").json()["id"]
        for product_id, quantity in lines:
            body = {"product_id": product_id, "quantity": quantity}
            answer = self.http.post(f"/api/carts/{cart_id}/items", json=body)
            assert answer.status_code == 200, answer.text
        return cart_id

    def checkout(
        self,
        user: Account,
        cart_id: str,
        *,
        token: str = "tok_ok",
        key: str | None = None,
        **extra: Any,
    ) -> httpx.Response:
        """Send one checkout."""
        return self.http.post(
            "/api/orders",
            json={"cart_id": cart_id, "payment": {"method": "card", "token": token}, **extra},
            headers={**user.headers, "Idempotency-Key": key or uuid.uuid4().hex},
        )

    def buy(self, user: Account, *lines: tuple[int, int]) -> dict[str, Any]:
        """A confirmed order of these lines."""
        answer = self.checkout(user, self.new_cart(*lines))
        assert answer.status_code == 201, answer.text
        order: dict[str, Any] = answer.json()
        return order

    def order(self, user: Account, order_id: str) -> dict[str, Any]:
        """An order as its customer sees it now."""
        answer = self.http.get(f"/api/orders/{order_id}", headers=user.headers)
        assert answer.status_code == 200, answer.text
        document: dict[str, Any] = answer.json()
        return document

    def stock(self, product_id: int) -> int:
        """Units available now, past every cache and standby."""
        # A token that no standby can have replayed sends the read to the primary.
        headers = {"X-Consistency-Token": "catalog:FFFFFFFF/FFFFFFFF"}
        answer = self.http.get(f"/api/products/{product_id}", headers=headers)
        assert answer.status_code == 200, answer.text
        units: int = answer.json()["stock"]
        return units
