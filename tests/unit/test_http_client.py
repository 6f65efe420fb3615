"""Connections between services: kept, but not for ever."""

from __future__ import annotations

import threading

import pytest

from chassis import http_client
from chassis.http_client import ServiceClient
from tests.stand_in import Answer, Arrival, StandIn


def client(stand_in: StandIn) -> ServiceClient:
    url = f"http://127.0.0.1:{stand_in.port}"
    return ServiceClient("catalog", url, pool_size=2, service_token="t" * 32)


def ask(asked: ServiceClient, path: str) -> int:
    return asked.call("GET", path, seconds=5, repeatable=False).status


def test_an_instance_that_was_added_is_connected_to(monkeypatch: pytest.MonkeyPatch) -> None:
    stand_in = StandIn()
    asked = client(stand_in)
    assert [ask(asked, "/"), ask(asked, "/"), stand_in.connections] == [200, 200, 1]
    monkeypatch.setattr(http_client, "RENEW_SECONDS", 0.0)
    assert [ask(asked, "/"), stand_in.connections] == [200, 2]
    stand_in.stop()


def test_who_waits_for_an_answer_gets_it_though_connections_are_renewed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun, renewed = threading.Event(), threading.Event()

    def respond(arrival: Arrival) -> Answer:
        if arrival.target == "/slow":
            begun.set()
            assert renewed.wait(5)
        return Answer()

    stand_in = StandIn(respond)
    asked = client(stand_in)
    answers: list[int] = []
    waiting = threading.Thread(target=lambda: answers.append(ask(asked, "/slow")))
    waiting.start()
    assert begun.wait(5)
    monkeypatch.setattr(http_client, "RENEW_SECONDS", 0.0)
    assert ask(asked, "/") == 200
    renewed.set()
    waiting.join(5)
    assert answers == [200]
    stand_in.stop()
