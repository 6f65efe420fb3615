"""What the flows need in the shop: customers who are logged in, carts, products with much stock."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass
from typing import Any, Self

import psycopg2
from redis import Redis

from local.errors import StackError
from local.http_call import call
from local.report import OPERATOR_EMAIL
from local.stack import Stack

UNITS = 10_000_000
LINES_OF_A_CART = 3
_PASSWORD = "uma-senha-bem-comprida"

# Rows of an outbox that a sink has not had yet (see chassis/outbox.py for the windows).
_UNSENT = """
SELECT count(*) FROM outbox_cursors c JOIN outbox o ON o.txid >= c.low
    AND (o.txid >= c.high OR o.seq > c.seq)
"""
_HELD = "SELECT count(*) FROM reservations WHERE state = 'held'"


@dataclass(frozen=True)
class Prepared:
    """Ids of products and of one cart per client, and an access token per client."""

    products: list[int]
    carts: list[str]
    tokens: list[str]
    pages: list[int]


class Shop:
    """The gateway as an operator and as customers use it, and a look at what is under way."""

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._url = f"http://127.0.0.1:{stack.settings.port}"
        # Kept open: a login costs PostgreSQL more than the questions, and would be measured.
        self._databases = {
            name: psycopg2.connect(stack.dsn(name, name)) for name in ("catalog", "orders")
        }
        self._streams = Redis.from_url(stack.redis_urls["redis-streams"])
        for connection in self._databases.values():
            connection.autocommit = True

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        for connection in self._databases.values():
            connection.close()
        self._streams.close()

    def prepare(self, clients: int, products: int) -> Prepared:
        """Customers with carts, and products that do not sell out.

        Raises StackError naming the request that did not succeed.
        """
        operator = self._login(OPERATOR_EMAIL, self._stack.secrets.demo_password)
        shown = [item["id"] for item in self._do("GET", "/api/products?limit=100")["items"]]
        return Prepared(
            products=[self._product(operator) for _ in range(products)],
            carts=[self._do("POST", "/api/carts")["id"] for _ in range(clients)],
            tokens=[self._customer() for _ in range(clients)],
            pages=shown,
        )

    def _product(self, operator: str) -> int:
        body = {
            "sku": f"BENCH-{uuid.uuid4().hex[:12].upper()}",
            # Behind the demo shop in the list: what is read stays what a shop shows.
            "name": "Zzz Produto da medição",
            "category_id": 1,
            "price_cents": 1000,
            "stock": UNITS,
        }
        return int(self._do("POST", "/api/products", body, operator)["id"])

    def _customer(self) -> str:
        email = f"bench-{uuid.uuid4().hex[:12]}@example.com"
        body = {"email": email, "password": _PASSWORD, "name": "Ana Souza"}
        self._do("POST", "/auth/register", body)
        return self._login(email, _PASSWORD)

    def _login(self, email: str, password: str) -> str:
        tokens = self._do("POST", "/auth/login", {"email": email, "password": password})
        return str(tokens["access_token"])

    def _do(self, method: str, path: str, body: Any = None, token: str | None = None) -> Any:
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        answer = call(method, self._url + path, body, headers, timeout=20)
        if answer.status not in (200, 201):
            raise StackError(f"{method} {path} answered {answer.status}: {answer.text[:300]}")
        return answer.json

    def settle(self, seconds: float = 60.0) -> None:
        """Wait until every event has had its effect: sold what was held, emptied what was bought.

        Raises StackError when that takes longer than `seconds`.
        """
        limit = time.monotonic() + seconds
        while waiting := self._under_way():
            if time.monotonic() > limit:
                raise StackError(f"{waiting} are still under way after {seconds:.0f} s")
            time.sleep(0.1)

    def _under_way(self) -> str:
        for database, statement in (("orders", _UNSENT), ("catalog", _UNSENT), ("catalog", _HELD)):
            if count := self._count(database, statement):
                return f"{count} events or reservations of {database}"
        for stream in ("events:orders", "events:catalog"):
            last = self._streams.xinfo_stream(stream)["last-generated-id"]
            for group in self._streams.xinfo_groups(stream):
                if group["pending"] or group["last-delivered-id"] != last:
                    return f"events of {stream}"
        return ""

    def _count(self, database: str, statement: str) -> int:
        with self._databases[database].cursor() as cursor:
            cursor.execute(statement)
            row = cursor.fetchone()
        return int(row[0]) if row else 0
