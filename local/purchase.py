"""A purchase through the gateway, which shows that the shop as a whole is open."""

from __future__ import annotations

import time
import uuid
from typing import Any

from local.errors import StackError
from local.http_call import Answer, call

PROBE_EMAIL = "sonda@feira.local"
NAME = "purchase"
PATIENCE = 60.0
CLOSED_SECONDS = 15.0
CLOSED = (
    "nothing was bought: this branch was restored, and sells nothing until every one of its peers"
    " has said what it had done since the backup"
)
_IN_STOCK = "/api/products?in_stock=true&limit=100"
_TIMEOUT = 20.0
_ADDRESS = {
    "recipient": "Sonda da Feira",
    "street": "Rua das Flores",
    "number": "100",
    "district": "Centro",
    "city": "Campinas",
    "state": "SP",
    "postal_code": "13010-000",
}


class Shopper:
    """The probe account, shopping at one gateway."""

    def __init__(
        self,
        gateway: str,
        password: str,
        patience: float = PATIENCE,
        closed_seconds: float = CLOSED_SECONDS,
    ) -> None:
        """Nothing is asked yet.

        Args:
            gateway: its base URL.
            password: of the probe account.
            patience: seconds that one step may take in all.
            closed_seconds: how long a branch that was restored may take to hear from its peers.
        """
        self._gateway = gateway
        self._closed_seconds = closed_seconds
        self._patience = patience
        self._password = password
        self._headers: dict[str, str] = {}

    def buy_and_undo(self) -> bool:
        """Buy the cheapest product there is, cancel the order, drop the cart.

        Returns:
            Whether it bought: not where a branch that was restored has nothing to sell, as its
            peers have not said yet what it had done since the backup.

        Raises StackError naming the step that did not succeed.
        """
        login = {"email": PROBE_EMAIL, "password": self._password}
        tokens = self._do("POST", "/auth/login", login, expect=(200,))
        self._headers = {"Authorization": f"Bearer {tokens['access_token']}"}
        cart = f"/api/carts/{self._do('POST', '/api/carts', expect=(201,))['id']}"
        try:
            if (product := self._cheapest()) is None:
                return False
            line = {"product_id": product, "quantity": 1}
            self._do("POST", f"{cart}/items", line, expect=(200, 201))
            order = self._order(cart.rsplit("/", 1)[1])
            self._do("POST", f"/api/orders/{order}/cancel", expect=(200, 202))
        finally:
            self._do("DELETE", cart, expect=(204, 200, 404))
        return True

    def _cheapest(self) -> int | None:
        limit = time.monotonic() + self._closed_seconds
        while not (found := self._do("GET", _IN_STOCK, expect=(200,))["items"]):
            if not self._is_closed():
                raise StackError("no product is in stock", process=NAME)
            if time.monotonic() > limit:
                return None
            time.sleep(0.5)
        return int(min(found, key=lambda product: int(product["price_cents"]))["id"])

    def _is_closed(self) -> bool:
        """Whether this is a branch that was set back, and has not heard from all of its peers."""
        catalog = self._do("GET", "/status", expect=(200,))["catalog"]
        return bool(catalog.get("branches", {}).get("rejoining"))

    def _order(self, cart_id: str) -> str:
        body = {
            "cart_id": cart_id,
            "payment": {"method": "card", "token": "tok_ok"},
            "shipping_address": _ADDRESS,
        }
        key = {"Idempotency-Key": str(uuid.uuid4())}
        order = self._do("POST", "/api/orders", body, key, expect=(201,))
        if order["status"] != "confirmed":
            raise StackError(f"the order is {order['status']}, not confirmed", process=NAME)
        return str(order["id"])

    def _do(
        self,
        method: str,
        path: str,
        body: Any = None,
        headers: dict[str, str] | None = None,
        *,
        expect: tuple[int, ...],
    ) -> Any:
        """One step; every one of them may be repeated, so a shop that is busy is asked again."""
        limit = time.monotonic() + self._patience
        while True:
            answer = self._call(method, path, body, headers)
            if answer is not None and not _is_busy(answer):
                break
            if time.monotonic() > limit:
                break
            time.sleep(0.2)
        if answer is None or answer.status not in expect:
            said = f"{answer.status}: {answer.text[:400]}" if answer else "nothing in time"
            raise StackError(f"{method} {path} answered {said}", process=NAME)
        return answer.json if answer.text else None

    def _call(
        self, method: str, path: str, body: Any, headers: dict[str, str] | None
    ) -> Answer | None:
        """One request; None when there was no answer in time."""
        every = self._headers | (headers or {})
        try:
            return call(method, self._gateway + path, body, every, timeout=_TIMEOUT)
        except TimeoutError:
            return None
        except OSError as error:
            raise StackError(f"{method} {path} got no answer: {error}", process=NAME) from None


def _is_busy(answer: Answer) -> bool:
    """Whether the same request may get another answer soon.

    On a machine that is busy a checkout can be answered before it has ended. What it is asked again
    says that it still runs, until it has.
    """
    running = answer.status == 409 and "in-progress" in answer.text
    return answer.status in (502, 503, 504) or running
