"""Sagas that are tried again: what is told once, and what one of them does to others."""

from __future__ import annotations

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from chassis.http_client import Answer, Unreachable
from orders import recovery, saga
from orders.history import Entry
from orders.order import Order
from orders.ports import Ports


def test_money_that_went_back_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    # Given a cancelled order whose charge the provider has undone, and a catalog that is away
    away = [Unreachable("away")] * 3
    told: list[tuple[list[str], str | None]] = []

    def release(_: str) -> Answer:
        if away:
            raise away.pop()
        return Answer(204, None, {})

    def advance(
        _: Ports, order: Any, changes: Any, log: list[Entry], *, paid: str | None = None
    ) -> Any:
        told.append(([f"{entry.step} {entry.outcome}" for entry in log], paid))
        return order

    monkeypatch.setattr(saga, "advance", advance)
    monkeypatch.setattr(saga, "_later", lambda _: {})
    ports = SimpleNamespace(
        payment=SimpleNamespace(cancel=lambda _: True), holds=SimpleNamespace(release=release)
    )
    order = cast(
        Order, SimpleNamespace(id="1", status="cancelled", payment={"method": "card", "token": "t"})
    )
    # When its undoing is tried until it succeeds
    for attempt in range(1, 5):
        saga._compensate(saga.Run(cast(Ports, ports), attempt), order)
    # Then the money was told of with the last try only
    assert told == [
        *[(["release failed"], None)] * 3,
        (["refund succeeded", "release succeeded"], "refunded"),
    ]


def test_an_order_that_raises_keeps_no_other_of_its_batch_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch = [SimpleNamespace(id=number, context=None) for number in "123"]
    finished: list[str] = []

    def finish(_: Ports, order: Any) -> None:
        finished.append(order.id)
        if order.id == "1":
            raise KeyError("a fault of ours")

    monkeypatch.setattr(recovery, "finish", finish)
    monkeypatch.setattr(recovery, "_possible", lambda _: (20, ()))
    ports = SimpleNamespace(database=SimpleNamespace(write=lambda _: batch))
    assert recovery.sweep(cast(Ports, ports)) is False
    assert sorted(finished) == ["1", "2", "3"]


def test_orders_whose_provider_is_silent_keep_no_other_of_their_batch_waiting(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    batch = [SimpleNamespace(id=number, context=None) for number in "123"]
    answered = threading.Event()

    def finish(_: Ports, order: Any) -> None:
        if order.id == "3":
            answered.set()
        elif not answered.wait(20):
            pytest.fail("the last one had to wait for the others")

    monkeypatch.setattr(recovery, "finish", finish)
    monkeypatch.setattr(recovery, "_possible", lambda _: (20, ()))
    ports = SimpleNamespace(database=SimpleNamespace(write=lambda _: batch))
    recovery.sweep(cast(Ports, ports))
    assert answered.is_set()
