"""What the clients of the benchmark do: requests as bytes, answers checked, each flow one unit.

A flow is a generator that yields a request and is sent its answer. It ends when it is done, and
raises WrongAnswer when the answer is not what it should be.
"""

from __future__ import annotations

import itertools
import json
import random
from collections.abc import Callable, Generator, Iterator
from typing import Any, NamedTuple


class Answer(NamedTuple):
    """One answer, whether the server ends the connection after it, and for how long to wait."""

    status: int
    body: bytes
    closes: bool
    retry_after: float = 0.0


class WrongAnswer(Exception):
    """The server did not do what the flow asked for."""


Flow = Generator[bytes, Answer, None]


def request(
    method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
) -> bytes:
    """An HTTP/1.1 request as it goes over the wire; a body is sent as JSON."""
    content = b"" if body is None else json.dumps(body).encode()
    fields = {"Host": "localhost", **(headers or {})}
    if body is not None:
        fields["Content-Type"] = "application/json"
    if method != "GET":
        fields["Content-Length"] = str(len(content))
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {text}" for name, text in fields.items())]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def _expect(answer: Answer, status: int) -> None:
    if answer.status != status:
        text = answer.body[:200].decode("utf-8", "replace")
        raise WrongAnswer(f"{answer.status} instead of {status}: {text}")


def read(data: dict[str, Any], number: int) -> Iterator[Flow]:
    """GET one of `paths` with `headers`; the body must be as long as `least_bytes`."""
    requests = [request("GET", path, headers=data.get("headers")) for path in data["paths"]]
    random.Random(number).shuffle(requests)
    for one in itertools.cycle(requests):
        yield _read(one, data["least_bytes"])


def _read(one: bytes, least: int) -> Flow:
    answer = yield one
    _expect(answer, 200)
    if len(answer.body) < least:
        raise WrongAnswer(f"{len(answer.body)} bytes instead of {least}")


def add_to_cart(data: dict[str, Any], number: int) -> Iterator[Flow]:
    """Add one of `products` to this client's cart among `carts`."""
    cart = data["carts"][number]
    requests = [
        request("POST", f"/api/carts/{cart}/items", {"product_id": product, "quantity": 1})
        for product in data["products"]
    ]
    for one in itertools.cycle(requests):
        yield _read(one, 2)


def purchase(data: dict[str, Any], number: int) -> Iterator[Flow]:
    """Cart, item, checkout, by the customer whose token is among `tokens`.

    Key and cart are the same text: a cart is bought once.
    """
    dice = random.Random(number)
    token = data["tokens"][number]
    while True:
        yield _purchase(token, dice.choice(data["products"]))


def _purchase(token: str, product: int) -> Flow:
    answer = yield request("POST", "/api/carts")
    _expect(answer, 201)
    cart = json.loads(answer.body)["id"]
    answer = yield request(
        "POST", f"/api/carts/{cart}/items", {"product_id": product, "quantity": 1}
    )
    _expect(answer, 200)
    answer = yield request(
        "POST",
        "/api/orders",
        {"cart_id": cart, "payment": {"method": "card", "token": "tok_ok"}},
        {"Authorization": f"Bearer {token}", "Idempotency-Key": cart},
    )
    _expect(answer, 201)
    order = json.loads(answer.body)
    bought = [(item["product_id"], item["quantity"]) for item in order["items"]]
    if order["status"] != "confirmed" or bought != [(product, 1)]:
        raise WrongAnswer(f"an order {order['status']} of {bought}")


FLOWS: dict[str, Callable[[dict[str, Any], int], Iterator[Flow]]] = {
    "read": read,
    "add_to_cart": add_to_cart,
    "purchase": purchase,
}
