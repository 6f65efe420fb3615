"""The flow of a purchase, step by step, each answer checked (5.2 of the source report)."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Any

from loadtests.drills.shoppers import Account, Client
from loadtests.report import shop
from loadtests.report.document import Chapter, Check, Table, Words
from loadtests.report.place import Place, Say

FEW, MORE = 1, 3


def run(place: Place, chapter: Chapter, say: Say) -> None:
    """List, put into a cart, change the quantity, order, look at the order and at the stock."""
    table = Table(
        Words("Cenário", "Scenario"),
        [
            Words("Passo", "Step"),
            Words("Requisição", "Request"),
            Words("Resposta", "Answer"),
            Words("Tempo (ms)", "Time (ms)"),
            Words("Resultado", "Result"),
        ],
        [],
    )
    manager = Account(place.url, *place.admin)
    product = shop.new_product(manager, stock=10)
    _Flow(place, table, chapter, product["id"]).go(say)
    shop.retire(manager, [product])
    chapter.tables.append(table)
    good, all_steps = sum(check.holds for check in chapter.checks), len(chapter.checks)
    chapter.analysis.append(
        Words("{0} de {1} passos com sucesso.", "{0} of {1} steps went well.", (good, all_steps))
    )


class _Flow:
    """One customer's purchase, noted as it goes."""

    def __init__(self, place: Place, table: Table, chapter: Chapter, product: int) -> None:
        self._client = Client(place.url)
        self._customer = Account.new(place.url)
        self._table, self._chapter, self._product = table, chapter, product

    def go(self, say: Say) -> None:
        """Each step needs what the one before it gave."""
        say("list, cart, order")
        mine = self._product
        self._step(
            Words("Listar produtos", "List products"),
            "GET", "/api/produtos",
            lambda body: body["success"] and body["total"] > 0,
        )  # fmt: skip
        cart = self._step(
            Words("Abrir um carrinho", "Open a cart"), "POST", "/api/carts",
            lambda body: body["items"] == [], expect=201,
        )  # fmt: skip
        path = f"/api/carts/{cart['id']}"
        self._step(
            Words("Adicionar ao carrinho", "Add to the cart"), "POST", f"{path}/items",
            lambda body: _quantities(body) == {mine: FEW},
            body={"product_id": mine, "quantity": FEW},
        )  # fmt: skip
        self._step(
            Words("Atualizar quantidade", "Change the quantity"), "PUT", f"{path}/items/{mine}",
            lambda body: _quantities(body) == {mine: MORE}, body={"quantity": MORE},
        )  # fmt: skip
        order = self._step(
            Words("Finalizar pedido", "Place the order"), "POST", "/api/orders",
            lambda body: body["status"] == "confirmed" and _quantities(body) == {mine: MORE},
            body={"cart_id": cart["id"], "payment": {"method": "card", "token": "tok_ok"}},
            headers=self._customer.headers | {"Idempotency-Key": uuid.uuid4().hex}, expect=201,
        )  # fmt: skip
        self._step(
            Words("Consultar o pedido", "Look at the order"), "GET", f"/api/orders/{order['id']}",
            lambda body: body["total_cents"] == order["total_cents"],
            headers=self._customer.headers,
        )  # fmt: skip
        self._step(
            Words("Conferir o estoque", "Check the stock"), "GET", f"/api/products/{mine}/stock",
            lambda body: body["stock"] == 10 - MORE,
            headers={"X-Consistency-Token": "catalog:FFFFFFFF/FFFFFFFF"},
        )  # fmt: skip

    def _step(
        self,
        title: Words,
        method: str,
        path: str,
        right: Callable[[Any], bool],
        *,
        body: Any = None,
        headers: dict[str, str] | None = None,
        expect: int = 200,
    ) -> Any:
        began = time.monotonic()
        reply = self._client.ask(method, path, body, headers)
        took = (time.monotonic() - began) * 1000
        try:
            holds = reply.status == expect and right(reply.body)
        except (KeyError, TypeError):
            holds = False
        said = Words("sucesso", "success") if holds else Words("FALHOU", "FAILED")
        shown = _shape(path)
        self._table.rows.append([title, f"{method} {shown}", str(reply.status), took, said])
        self._chapter.checks.append(Check(title, holds))
        return reply.body if holds else {"id": "-", "total_cents": -1}


def _quantities(document: dict[str, Any]) -> dict[int, int]:
    return {line["product_id"]: line["quantity"] for line in document["items"]}


def _shape(path: str) -> str:
    """The path without its ids, which say nothing and are long."""
    parts = path.split("/")
    return "/".join("{id}" if any(c.isdigit() for c in part) else part for part in parts)
