"""`dead-letters list|show|replay`, as an operator uses it."""

from __future__ import annotations

import pytest
from flask import Flask

from chassis import bus, dead_letters
from chassis.events import Event
from tests.cart.rig import RedisServer
from tests.events.rig import event


class Service:
    """An app whose handler fails for what is in `broken`."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.broken: set[str] = set()
        self.done: list[str] = []
        self.app = Flask("things")
        dead_letters.register(self.app, url, "group", {"things": self.handle})

    def handle(self, each: Event) -> None:
        if each.id in self.broken:
            raise ValueError("cannot be")
        self.done.append(each.id)

    def fail(self, *events: Event) -> None:
        """Have these set aside."""
        self.broken |= {each.id for each in events}
        bus.publisher(self.url, "things").publish(events)
        consumer = bus.consumer(
            self.url, service="things", group="group", member="one", handle=self.handle
        )
        for _ in range(len(events) * bus.MOST_ATTEMPTS):
            try:
                consumer.cycle()
            except ValueError:
                continue

    def run(self, *arguments: str) -> tuple[int, list[str]]:
        result = self.app.test_cli_runner().invoke(args=["dead-letters", *arguments])
        return result.exit_code, result.output.splitlines()


@pytest.fixture
def service(redis: RedisServer) -> Service:
    return Service(redis.url)


def test_letters_are_listed_and_shown(service: Service) -> None:
    assert service.run("list") == (0, [])
    service.fail(sent := event("s7"))
    code, (line,) = service.run("list")
    letter = line.split()[0]
    assert (code, line) == (0, f"{letter}  things  thing.changed  s7  ValueError('cannot be')")
    code, lines = service.run("show", letter)
    assert (code, lines[:2]) == (0, ["service: things", "error:   ValueError('cannot be')"])
    assert sent.id in lines[2]


def test_a_replay_has_its_effect_here_and_now(service: Service) -> None:
    events = [event("s1"), event("s2")]
    service.fail(*events)
    first, second = (line.split()[0] for line in service.run("list")[1])
    service.broken.clear()

    assert service.run("replay", first) == (0, [f"{first}  done"])
    assert service.done == [events[0].id]
    assert service.run("replay", "--all") == (0, [f"{second}  done"])
    assert service.done == [each.id for each in events]
    assert service.run("list") == (0, [])


def test_what_fails_again_is_kept(service: Service) -> None:
    service.fail(event())
    letter = service.run("list")[1][0].split()[0]
    code, lines = service.run("replay", "--all")
    assert code == 1
    assert lines == [
        f"{letter}  failed: ValueError('cannot be')",
        "1 of 1 failed again and are kept",
    ]
    assert len(service.run("list")[1]) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["replay"], "name the letters to replay, or say --all"),
        (["show", "1-1"], "there is no dead letter 1-1"),
        (["replay", "1-1"], "there is no dead letter 1-1"),
    ],
)
def test_a_wrong_use_is_answered_in_one_line(
    service: Service, arguments: list[str], said: str
) -> None:
    assert service.run(*arguments) == (1, [said])


def test_an_absent_bus_is_answered_in_one_line() -> None:
    code, lines = Service("redis://127.0.0.1:1/0").run("list")
    assert (code, len(lines)) == (1, 1)
    assert lines[0].startswith("the event bus does not answer: ")
