"""A burst of asynchronous orders: all are taken, the backlog shows, and each is done once."""

from __future__ import annotations

import json
import socket
import time
import uuid
from contextlib import ExitStack
from functools import partial

import pytest

from loadtests.bench.client import parse
from loadtests.bench.flows import Answer, request
from local.stack import Stack
from tests.async_orders.rig import charged, wait_all_ended
from tests.race.rig import FULL, figure, ledgers, rows, seconds_of, together
from tests.shop import Account, Shop, wait_until

BURST = 10_000 if FULL else 60
SYNCHRONOUS = 300 if FULL else 12
SENDERS = 8
SILENCE_SECONDS = 120
# How many times faster a burst is taken than shoppers are served who wait; of the full run only,
# because a ratio of two short runs on a busy machine says nothing.
TAKEN_FASTER = 3.0


@pytest.mark.timeout(3600 if FULL else 240)
def test_a_burst_is_taken_at_once_and_done_without_loss_or_duplicate(
    stack: Stack, shop: Shop
) -> None:
    user = shop.new_user()
    product = shop.new_product(stock=BURST + SYNCHRONOUS + 10)["id"]
    carts = _carts(stack, product, SYNCHRONOUS + BURST)
    waited_for = [_order(user, cart, "wait=30") for cart in carts[:SYNCHRONOUS]]
    queued = [_order(user, cart, "respond-async") for cart in carts[SYNCHRONOUS:]]
    slow, bought = seconds_of(lambda: _send(stack, waited_for))
    quick, answers = seconds_of(lambda: _send(stack, queued))
    backlog = shop.http.get("/status").json()["orders"]["asynchronous"]
    assert {a.status for a in bought} == {201}
    assert {a.status for a in answers} == {202}
    ids = [json.loads(a.body)["id"] for a in answers]
    drained, statuses = seconds_of(lambda: wait_all_ended(stack, user, 3000 if FULL else 200))

    rate, ratio = BURST / quick, (BURST / quick) / (SYNCHRONOUS / slow)
    figure(
        "flood",
        f"{BURST} taken at {rate:.0f}/s, {ratio:.1f} x the {SYNCHRONOUS / slow:.0f}/s of those who"
        f" wait; backlog then {backlog}; drained {drained:.0f} s later ({statuses})",
    )
    total = BURST + SYNCHRONOUS
    assert statuses == {"confirmed": total}
    assert len(set(ids)) == BURST
    assert charged(stack, user) == {"payments": total, "simulated_charges": total}
    once = "SELECT count(*) FROM saga_log WHERE step = 'confirm' AND order_id = ANY (%s)"
    assert rows(stack, "orders", once, ids) == [(BURST,)]
    wait_until(lambda: ledgers(stack, [product])[product].sold == total, 120)
    ledger = ledgers(stack, [product])[product]
    assert ledger.balanced and ledger.held == 0 and ledger.available == 10
    after = wait_until(lambda: _empty(shop), 30)
    assert after == {"waiting": 0, "oldest": None, "queue_length": 0}
    if FULL:
        assert ratio >= TAKEN_FASTER


def _carts(stack: Stack, product: int, count: int) -> list[str]:
    made = _send(stack, [request("POST", "/api/carts")] * count)
    carts = [str(json.loads(answer.body)["id"]) for answer in made]
    line = {"product_id": product, "quantity": 1}
    filled = _send(stack, [request("POST", f"/api/carts/{cart}/items", line) for cart in carts])
    assert {a.status for a in filled} == {200}
    return carts


def _order(user: Account, cart: str, prefer: str) -> bytes:
    body = {"cart_id": cart, "payment": {"method": "card", "token": "tok_ok"}}
    headers = {**user.headers, "Idempotency-Key": uuid.uuid4().hex, "Prefer": prefer}
    return request("POST", "/api/orders", body, headers)


def _send(stack: Stack, requests: list[bytes]) -> list[Answer]:
    """The answers, by as many senders as there are, each of which waits for its answers.

    They share the machine with the shop: bare sockets cost a tenth of what a usual client does.
    """
    shares = [partial(_send_all, stack, requests[n::SENDERS]) for n in range(SENDERS)]
    return [answer for share in together(shares, seconds=1200) for answer in share]


def _send_all(stack: Stack, requests: list[bytes]) -> list[Answer]:
    answers: list[Answer] = []
    with ExitStack() as connections:
        connection: socket.socket | None = None
        for each in requests:
            if connection is None or answers[-1].closes:
                address = ("127.0.0.1", stack.settings.port)
                opened = socket.create_connection(address, timeout=SILENCE_SECONDS)
                connection = connections.enter_context(opened)
            connection.sendall(each)
            answers.append(_answer(connection))
    return answers


def _answer(connection: socket.socket) -> Answer:
    received = b""
    while (answer := parse(received)) is None:
        more = connection.recv(1 << 16)
        assert more, "the connection was closed in the middle of an answer"
        received += more
    return answer


def _empty(shop: Shop) -> dict[str, object] | None:
    time.sleep(0.1)
    found: dict[str, object] = shop.http.get("/status").json()["orders"]["asynchronous"]
    return found if found["queue_length"] == 0 and found["waiting"] == 0 else None
