"""What the chapters need in the shop: products, customers and carts, all by the public doors."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from typing import Any

from loadtests.drills.shoppers import Account, Client
from loadtests.report.place import Place
from local.errors import StackError

UNITS = 1_000_000
_SETTLE_SECONDS = 60.0


def new_product(manager: Account, stock: int = UNITS) -> dict[str, Any]:
    """A product of the report's own, behind the demo shop in lists."""
    body = {
        "sku": f"RELATORIO-{uuid.uuid4().hex[:12].upper()}",
        "name": "Zzz Produto do relatório",
        "description": "Only for a report.",
        "category_id": 1,
        "price_cents": 1000,
        "stock": stock,
    }
    product: dict[str, Any] = manager.must("POST", "/api/products", body)
    return product


def retire(manager: Account, products: Sequence[dict[str, Any]]) -> None:
    """Take them off sale."""
    for product in products:
        manager.must("DELETE", f"/api/products/{product['id']}")


def token_of(account: Account) -> str:
    """The access token that an account sends."""
    return str(account.headers["Authorization"].removeprefix("Bearer "))


def settle(place: Place) -> None:
    """Wait until no event waits to be published and nothing is held. Raises StackError."""
    client = Client(place.url)
    limit = time.monotonic() + _SETTLE_SECONDS
    while True:
        status = client.must("GET", "/status")
        held = status["catalog"]["stock"]["reservations_held"]
        waiting = [status[each]["pending"]["bus"] for each in ("catalog", "orders")]
        if not held and not any(waiting):
            return
        if time.monotonic() > limit:
            raise StackError(f"events or holds are under way after {_SETTLE_SECONDS:.0f} s")
        time.sleep(0.2)
