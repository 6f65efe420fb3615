"""The purchase that opens a shop: patient with one that is busy, and with nothing else."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from local.errors import StackError
from local.purchase import Shopper
from tests.stand_in import Answer, Arrival, StandIn


def problem(status: int, slug: str) -> Answer:
    body = json.dumps({"type": f"/problems/{slug}", "status": status}).encode()
    return Answer(status, body, content_type="application/problem+json")


def said(status: int, document: Any) -> Answer:
    return Answer(status, json.dumps(document).encode())


BUSY = problem(503, "unavailable")
RUNNING = problem(409, "in-progress")
SOLD_OUT = problem(409, "insufficient-stock")
GIVEN_UP = problem(504, "timeout")


class Gateway:
    """A shop whose purchases go through; `first` answers come before those, by request."""

    def __init__(self) -> None:
        self.first: dict[str, list[Answer]] = {}
        self.branches: dict[str, Any] = {}
        self.keys: list[str] = []

    def __call__(self, arrival: Arrival) -> Answer:
        request = f"{arrival.method} {arrival.target.split('?')[0]}"
        if request == "POST /api/orders":
            self.keys.append(arrival.headers["Idempotency-Key"])
        if waiting := self.first.get(request):
            return waiting.pop(0)
        return {
            "POST /auth/login": said(200, {"access_token": "a"}),
            "POST /api/carts": said(201, {"id": "c"}),
            "GET /api/products": said(200, {"items": [{"id": 1, "price_cents": 5}]}),
            "POST /api/carts/c/items": said(200, {}),
            "POST /api/orders": said(201, {"id": "o", "status": "confirmed"}),
            "POST /api/orders/o/cancel": said(200, {}),
            "DELETE /api/carts/c": Answer(204, b""),
            "GET /status": said(200, {"catalog": {"branches": self.branches}}),
        }[request]


@pytest.fixture
def gateway() -> Gateway:
    return Gateway()


@pytest.fixture
def url(gateway: Gateway) -> Iterator[str]:
    stand_in = StandIn(gateway)
    yield f"http://127.0.0.1:{stand_in.port}"
    stand_in.stop()


def test_a_shop_that_is_busy_is_asked_again_under_the_same_key(gateway: Gateway, url: str) -> None:
    gateway.first = {
        "POST /api/carts": [GIVEN_UP],
        # Answered before it had ended; asked again while it still runs; then it has ended.
        "POST /api/orders": [BUSY, RUNNING, RUNNING],
    }
    assert Shopper(url, "secret").buy_and_undo()
    assert len(gateway.keys) == 4 and len(set(gateway.keys)) == 1


@pytest.mark.parametrize(
    "answer", [SOLD_OUT, problem(500, "internal"), problem(401, "unauthorized")]
)
def test_what_will_not_be_otherwise_ends_it_at_once(
    gateway: Gateway, url: str, answer: Answer
) -> None:
    gateway.first = {"POST /api/orders": [answer]}
    with pytest.raises(StackError, match=f"POST /api/orders answered {answer.status}"):
        Shopper(url, "secret").buy_and_undo()
    assert len(gateway.keys) == 1


def test_a_shop_that_stays_busy_is_given_up(gateway: Gateway, url: str) -> None:
    gateway.first = {"POST /api/orders": [BUSY] * 100}
    with pytest.raises(StackError, match="answered 503"):
        Shopper(url, "secret", patience=0.3).buy_and_undo()


def test_a_restored_branch_is_waited_for_and_then_opened_closed(gateway: Gateway, url: str) -> None:
    nothing = said(200, {"items": []})
    gateway.branches = {"rejoining": True}
    gateway.first = {"GET /api/products": [nothing] * 2}
    assert Shopper(url, "secret", closed_seconds=20).buy_and_undo()
    gateway.first = {"GET /api/products": [nothing] * 100}
    assert not Shopper(url, "secret", closed_seconds=0.3).buy_and_undo()
    assert len(gateway.keys) == 1


@pytest.mark.parametrize("branches", [{}, {"rejoining": False}])
def test_a_shop_that_has_nothing_to_sell_is_not_open(
    gateway: Gateway, url: str, branches: dict[str, Any]
) -> None:
    gateway.branches = branches
    gateway.first = {"GET /api/products": [said(200, {"items": []})]}
    with pytest.raises(StackError, match="no product is in stock"):
        Shopper(url, "secret").buy_and_undo()
