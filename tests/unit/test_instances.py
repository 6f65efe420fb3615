"""Where the instances of a service are found, and that each is called in turn."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from chassis import instances
from chassis.http_client import ServiceClient
from chassis.instances import Instances
from tests.shop import wait_until
from tests.stand_in import Answer, StandIn

NAME = "http://catalog.example"


class Names:
    """What names lead to, as the test says; everything else is looked up for real."""

    def __init__(self) -> None:
        self.known: dict[str, list[str]] = {}
        self.lookups = 0
        self.held = threading.Event()
        self.held.set()

    def getaddrinfo(self, host: str, port: int, *more: Any, **options: Any) -> Any:
        if not host.endswith(".example"):
            return _real(host, port, *more, **options)
        self.lookups += 1
        assert self.held.wait(10)
        if host not in self.known:
            raise socket.gaierror(socket.EAI_NONAME, "not known")
        return [
            (socket.AF_INET6 if ":" in each else socket.AF_INET, 1, 6, "", (each, port))
            for each in self.known[host]
        ]


_real = socket.getaddrinfo


@pytest.fixture
def names(monkeypatch: pytest.MonkeyPatch) -> Iterator[Names]:
    found = Names()
    monkeypatch.setattr(socket, "getaddrinfo", found.getaddrinfo)
    monkeypatch.setattr(instances, "LOOK_SECONDS", 0.0)
    yield found
    found.held.set()


def test_a_name_stands_for_the_addresses_that_it_has_now(names: Names) -> None:
    names.known["catalog.example"] = ["10.0.0.3", "10.0.0.2", "10.0.0.2", "fd00::1"]
    found = Instances([f"{NAME}:5001/v1", "http://10.0.0.2:5001/v1", "https://catalog.example"])
    found.now()
    both = ["http://10.0.0.2:5001/v1", "http://10.0.0.3:5001/v1", "http://[fd00::1]:5001/v1"]
    wait_until(lambda: found.now() == [*both, "https://catalog.example"], 5)
    names.known["catalog.example"] = ["10.0.0.9"]
    after = ["http://10.0.0.9:5001/v1", "http://10.0.0.2:5001/v1", "https://catalog.example"]
    wait_until(lambda: found.now() == after, 5)


def test_a_name_that_is_lost_leads_where_it_led(names: Names) -> None:
    found = Instances([NAME])
    wait_until(lambda: found.now() == [NAME] and names.lookups > 1, 5)
    names.known["catalog.example"] = ["10.0.0.2"]
    wait_until(lambda: found.now() == ["http://10.0.0.2:80"], 5)
    del names.known["catalog.example"]
    seen = names.lookups
    wait_until(lambda: found.now() == ["http://10.0.0.2:80"] and names.lookups > seen + 1, 5)


def test_nobody_waits_for_a_name_and_it_is_looked_up_once_at_a_time(names: Names) -> None:
    names.held.clear()
    found = Instances([NAME])
    assert [found.now() for _ in range(50)] == [[NAME]] * 50
    wait_until(lambda: names.lookups == 1, 5)
    assert [found.now() for _ in range(50)] == [[NAME]] * 50
    assert names.lookups == 1


def test_instances_behind_one_name_are_called_in_turn_and_a_silent_one_last(names: Names) -> None:
    one = StandIn()
    other = StandIn(host="127.0.0.2", port=one.port)
    names.known["catalog.example"] = ["127.0.0.1", "127.0.0.2"]
    client = ServiceClient("catalog", f"{NAME}:{one.port}", pool_size=1, service_token="t" * 32)
    client._instances.now()
    wait_until(lambda: len(client._instances.now()) == 2, 5)

    def call() -> int:
        return client.call("GET", "/", seconds=2, repeatable=True).status

    assert [call() for _ in range(6)] == [200] * 6
    assert (len(one.arrivals), len(other.arrivals)) == (3, 3)
    frozen = threading.Event()
    one.respond = lambda _: Answer() if frozen.wait(10) else Answer(500)
    assert [call() for _ in range(4)] == [200] * 4
    assert (len(one.arrivals), len(other.arrivals)) == (4, 7)
    frozen.set()
    one.stop()
    other.stop()
