"""Where the instances of a service are found, and that each is called in turn."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from chassis import deadline, instances
from chassis.http_client import ServiceClient
from chassis.instances import Instances
from chassis.problems import Unavailable
from tests.shop import wait_until
from tests.stand_in import Answer, StandIn

NAME = "http://catalog.example"


class Names:
    """What names lead to, as the test says; everything else is looked up for real."""

    def __init__(self) -> None:
        self.known: dict[str, list[str]] = {}
        self.lookups = 0
        self.delay = 0.0
        self.held = threading.Event()
        self.held.set()

    def getaddrinfo(self, host: str, port: int, *more: Any, **options: Any) -> Any:
        if not host.endswith(".example"):
            return _real(host, port, *more, **options)
        self.lookups += 1
        assert self.held.wait(10)
        time.sleep(self.delay)
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
    names.known["catalog.example"] = ["10.0.0.3", "fd00::1", "10.0.0.2", "10.0.0.2"]
    found = Instances([f"{NAME}:5001/v1", "http://10.0.0.2:5001/v1", "https://catalog.example"])
    found.now()
    both = ["http://10.0.0.2:5001/v1", "http://10.0.0.3:5001/v1"]
    wait_until(lambda: found.now() == [*both, "https://catalog.example"], 5)
    names.known["catalog.example"] = ["fd00::1"]
    after = ["http://[fd00::1]:5001/v1", "http://10.0.0.2:5001/v1", "https://catalog.example"]
    wait_until(lambda: found.now() == after, 5)


def test_a_name_that_is_lost_leads_where_it_led(names: Names) -> None:
    found = Instances([NAME])
    wait_until(lambda: found.now() == [NAME] and names.lookups > 1, 5)
    names.known["catalog.example"] = ["10.0.0.2"]
    wait_until(lambda: found.now() == ["http://10.0.0.2:80"], 5)
    del names.known["catalog.example"]
    seen = names.lookups
    wait_until(lambda: found.now() == ["http://10.0.0.2:80"] and names.lookups > seen + 1, 5)


def test_only_names_are_looked_up(names: Names) -> None:
    urls = ["http://127.0.0.1:5001", "http://[::1]:5001", "https://catalog.example"]
    found = Instances(urls)
    assert [found.now() for _ in range(3)] == [urls] * 3
    assert found._looked == -math.inf and names.lookups == 0


@pytest.mark.parametrize("odd", ["http://a..b:1", "http://catalog.example:99999", "http://[::1:5"])
def test_what_is_no_name_is_kept_and_hinders_no_other(names: Names, odd: str) -> None:
    names.known["catalog.example"] = ["10.0.0.2"]
    found = Instances([odd, NAME])
    wait_until(lambda: found.now() == [odd, "http://10.0.0.2:80"], 5)


def test_who_asks_after_a_rest_gets_the_instances_of_now(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = Instances([NAME])
    names.known["catalog.example"] = ["10.0.0.2"]
    wait_until(lambda: found.now() == ["http://10.0.0.2:80"], 5)
    wait_until(lambda: not found._looking.locked(), 5)
    names.known["catalog.example"] = ["10.0.0.3"]
    names.delay = 0.05
    monkeypatch.setattr(instances, "STALE_SECONDS", 0.0)
    assert found.now() == ["http://10.0.0.3:80"]
    # One that takes for ever is waited for as long as there is time, and no longer.
    wait_until(lambda: not found._looking.locked(), 5)
    names.held.clear()
    began = time.monotonic()
    assert found.now() == ["http://10.0.0.3:80"]
    assert instances.WAIT_SECONDS <= time.monotonic() - began < 5
    with deadline.within(0):
        assert found.now() == ["http://10.0.0.3:80"]


def test_without_a_thread_to_look_the_old_ones_are_used(
    names: Names, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    found = Instances([NAME])
    names.known["catalog.example"] = ["10.0.0.2"]
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assert [found.now(), found.now()] == [[NAME]] * 2
    wait_until(lambda: found.now() == ["http://10.0.0.2:80"], 5)


def test_nobody_waits_for_the_first_look_up_and_there_is_one_at_a_time(names: Names) -> None:
    names.held.clear()
    found = Instances([NAME])
    assert [found.now() for _ in range(50)] == [[NAME]] * 50
    wait_until(lambda: names.lookups == 1, 5)
    assert [found.now() for _ in range(50)] == [[NAME]] * 50
    assert names.lookups == 1


class Service:
    """Instances on this machine behind one name, and a client that knows them all."""

    def __init__(self, names: Names, count: int) -> None:
        first = StandIn()
        addresses = [f"127.0.0.{number}" for number in range(2, count + 1)]
        self.parts = [first, *(StandIn(host=each, port=first.port) for each in addresses)]
        names.known["catalog.example"] = ["127.0.0.1", *addresses]
        url = f"{NAME}:{first.port}"
        self.client = ServiceClient("catalog", url, pool_size=1, service_token="t" * 32)
        wait_until(lambda: len(self.client._instances.now()) == count, 5)
        self.thawed = threading.Event()

    def freeze(self, number: int) -> None:
        self.parts[number].respond = lambda _: Answer() if self.thawed.wait(10) else Answer(500)

    def call(self, seconds: float) -> int | str:
        try:
            return self.client.call("GET", "/", seconds=seconds, repeatable=True).status
        except Unavailable as error:
            return type(error).__name__

    @property
    def arrived(self) -> list[int]:
        return [len(part.arrivals) for part in self.parts]


@pytest.fixture
def service(names: Names) -> Iterator[Callable[[int], Service]]:
    made: list[Service] = []

    def make(count: int) -> Service:
        made.append(Service(names, count))
        return made[-1]

    yield make
    for each in made:
        each.thawed.set()
        for part in each.parts:
            part.stop()


Make = Callable[[int], Service]


def test_instances_behind_one_name_are_called_in_turn_and_a_silent_one_last(service: Make) -> None:
    two = service(2)
    assert [two.call(2) for _ in range(6)] == [200] * 6
    assert two.arrived == [3, 3]
    two.freeze(0)
    assert [two.call(2) for _ in range(4)] == [200] * 4
    assert two.arrived == [4, 7]


def test_an_instance_that_answers_again_is_asked_again(service: Make) -> None:
    two = service(2)
    two.freeze(0)
    # The other one is slow, once: now both have been silent.
    slow = iter([0.5])
    two.parts[1].respond = lambda _: Answer(delay=next(slow, 0.0))
    assert two.call(0.6) == "NoAnswer"
    seen = [two.call(0.6) for _ in range(5)]
    assert seen[1:] == [200] * 4


def test_of_many_instances_two_are_asked_in_vain(service: Make) -> None:
    five = service(5)
    for number in range(5):
        five.parts[number].respond = lambda _: Answer(503)
    assert five.call(2) == "NotNow"
    before = five.arrived
    assert sum(before) == 2
    for number in range(5):
        five.freeze(number)
    assert five.call(0.8) == "NoAnswer"
    told = [
        int(arrival.headers[deadline.HEADER])
        for part, count in zip(five.parts, before, strict=True)
        for arrival in part.arrivals[count:]
    ]
    # The second one gets what the first one has left, and does not have to leave any.
    assert len(told) == 2 and min(told) > 150


@pytest.mark.parametrize("repeatable", [True, False])
def test_one_that_takes_the_place_of_another_is_asked_at_once(
    service: Make, names: Names, monkeypatch: pytest.MonkeyPatch, repeatable: bool
) -> None:
    two = service(2)
    names.known["catalog.example"] = ["127.0.0.1"]
    wait_until(lambda: len(two.client._instances.now()) == 1, 5)
    wait_until(lambda: not two.client._instances._looking.locked(), 5)
    monkeypatch.setattr(instances, "LOOK_SECONDS", 60.0)
    # The first one goes, and the name leads to the second one by now.
    two.parts.pop(0).stop()
    names.known["catalog.example"] = ["127.0.0.2"]
    assert two.client.call("GET", "/", seconds=2, repeatable=repeatable).status == 200
    assert two.arrived == [1]
