"""What every event bus does: one suite, held by Redis Streams and by Kafka."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Protocol, TypeVar

import pytest

from chassis import bus
from chassis.events import Event
from chassis.problems import Unavailable
from local.services import MICROSERVICES
from local.settings import REPOSITORY
from tests.events import deadly
from tests.events.rig import Running, event
from tests.race.rig import FULL
from tests.shop import wait_until

Value = TypeVar("Value")


class Broker(Protocol):
    """A real server of the kind, as the tests break it."""

    url: str

    def kill(self) -> None: ...
    def start(self) -> None: ...
    def freeze(self) -> None: ...
    def thaw(self) -> None: ...
    def kept(self, service: str) -> int: ...
    def wipe(self, service: str) -> None: ...
    def put(self, service: str, text: str) -> None: ...


class Bench:
    """One service's events on a broker, and the consumers that a test made."""

    def __init__(self, broker: Broker) -> None:
        self.broker = broker
        self.service = f"s{time.monotonic_ns()}"
        self.publisher = bus.publisher(broker.url, self.service)
        self._made: list[bus.Consumer] = []
        # What is made anew may take a moment until it takes anything.
        self.persist(lambda: self.publisher.publish([]))

    def persist(self, work: Callable[[], Value], seconds: float = 40) -> Value:
        """What a loop does: try again while the bus says that it is away."""
        limit = time.monotonic() + seconds
        while True:
            try:
                return work()
            except bus.away():
                if time.monotonic() > limit:
                    raise
                time.sleep(0.05)

    def publish(self, *events: Event, after: str | None = None) -> str:
        return self.persist(lambda: self.publisher.publish(events, after))

    def consumer(
        self, handle: bus.Handler, group: str = "group", member: str = "one"
    ) -> bus.Consumer:
        made = bus.consumer(
            self.broker.url,
            service=self.service,
            group=self.group(group),
            member=member,
            handle=handle,
        )
        self._made.append(made)
        return made

    def group(self, name: str = "group") -> str:
        return f"{name}-{self.service}"

    def letters(self) -> list[bus.Letter]:
        return self.persist(bus.dead_letters(self.broker.url, self.group()).letters)

    def close(self) -> None:
        for each in self._made:
            each.close()


def drain(consumer: bus.Consumer, enough: Callable[[], bool], seconds: float = 30) -> None:
    """Go on until it is enough; whatever a handler raises is tried again."""

    def once() -> bool:
        try:
            consumer.cycle()
        except Exception as error:
            if isinstance(error, AssertionError):
                raise
        return enough()

    wait_until(once, seconds)


def ids(events: list[Event]) -> list[str]:
    return [each.id for each in events]


class BusContract:
    """The subclasses give it a `broker`."""

    @pytest.fixture
    def broker(self) -> Broker:
        raise NotImplementedError

    @pytest.fixture
    def bench(self, broker: Broker) -> Iterator[Bench]:
        made = Bench(broker)
        yield made
        made.close()

    def test_every_group_gets_every_event_in_the_order_of_its_subject(self, bench: Bench) -> None:
        sent = [event(f"s{n % 5}", n) for n in range(200)]
        bench.publish(*sent[:120])
        bench.publish(*sent[120:])
        for group in ("first", "second"):
            got: list[Event] = []
            drain(bench.consumer(got.append, group), lambda got=got: len(got) >= 200)  # type: ignore[misc]
            for subject in range(5):
                assert [e for e in got if e.subject == f"s{subject}"] == sent[subject::5]

    def test_an_event_whose_effect_failed_comes_again_before_what_follows_it(
        self, bench: Bench
    ) -> None:
        got: list[Event] = []
        failures = iter([RuntimeError("not yet"), RuntimeError("not yet")])

        def handle(each: Event) -> None:
            if each.data["version"] == 2:
                for failure in failures:
                    raise failure
            got.append(each)

        sent = [event("s", n) for n in range(1, 5)]
        bench.publish(*sent)
        drain(bench.consumer(handle), lambda: len(got) >= 4)
        assert got == sent

    def test_what_a_member_left_unfinished_goes_to_another(self, bench: Bench) -> None:
        class Crash(BaseException):
            pass

        def crash(each: Event) -> None:
            if each.data["version"] == 2:
                raise Crash

        sent = [event("s", n) for n in range(1, 4)]
        bench.publish(*sent)
        first = bench.consumer(crash, member="one")
        with pytest.raises(Crash):
            drain(first, lambda: False)
        first.close()
        got: list[Event] = []
        drain(bench.consumer(got.append, member="two"), lambda: len(got) >= 2)
        assert got[-2:] == sent[1:]

    def test_members_share_the_work(self, bench: Bench) -> None:
        got: dict[str, list[Event]] = {"one": [], "two": []}

        def slowly(member: str) -> bus.Handler:
            def handle(each: Event) -> None:
                time.sleep(0.002)
                got[member].append(each)

            return handle

        one, two = (bench.consumer(slowly(name), member=name) for name in got)
        with Running(one.cycle), Running(two.cycle):
            sent: list[str] = []
            limit = time.monotonic() + 40
            # Until both had some: a group takes a moment to share anew.
            while not (got["one"] and got["two"] and len(sent) >= 400):
                assert time.monotonic() < limit, {name: len(each) for name, each in got.items()}
                batch = [event(f"s{n}", n) for n in range(100)]
                bench.publish(*batch)
                sent += ids(batch)
                time.sleep(0.2)
            wait_until(lambda: len(got["one"]) + len(got["two"]) >= len(sent), 30)
        assert {*ids(got["one"]), *ids(got["two"])} == set(sent)

    def test_poison_is_set_aside_and_the_others_are_done(self, bench: Bench) -> None:
        got: list[Event] = []
        tried: list[str] = []

        def handle(each: Event) -> None:
            if each.data["version"] == 5:
                tried.append(each.id)
                raise ValueError("cannot be")
            got.append(each)

        sent = [event(f"s{n}", n) for n in range(10)]
        bench.publish(*sent)
        drain(bench.consumer(handle), lambda: len(got) >= 9 and bool(bench.letters()))
        assert set(ids(got)) == set(ids(sent)) - {sent[5].id}
        assert len(tried) >= bus.MOST_ATTEMPTS and set(tried) == {sent[5].id}
        (letter,) = bench.letters()
        assert (letter.service, letter.error) == (bench.service, "ValueError('cannot be')")
        assert Event.parse(json.loads(letter.document)) == sent[5]
        box = bus.dead_letters(bench.broker.url, bench.group())
        bench.persist(lambda: box.remove(letter))
        assert bench.letters() == []

    @pytest.mark.promise(15)
    def test_an_event_that_kills_its_consumer_is_set_aside(
        self, bench: Bench, tmp_path: Path
    ) -> None:
        """What was fetched with it is not, however often it comes again."""
        sent = [event("s", n) for n in range(10)]
        others = {each.id for each in sent} - {sent[deadly.DEADLY].id}
        bench.publish(*sent)
        told = tmp_path / "told"
        told.touch()

        def done() -> bool:
            return others <= set(told.read_text().split()) and bool(bench.letters())

        deaths = 0
        while not survives(bench, str(deaths), told, done):
            deaths += 1
            assert deaths <= deadly.MOST_ATTEMPTS + 1
        assert deaths >= deadly.MOST_ATTEMPTS
        (letter,) = bench.letters()
        assert Event.parse(json.loads(letter.document)) == sent[deadly.DEADLY]
        assert letter.error == f"ProcessEnded('in try {deadly.MOST_ATTEMPTS}')"

    @pytest.mark.parametrize("text", ["no JSON", "{}", '"text"', '{"lamport": 1e300}'])
    def test_what_is_no_event_is_set_aside(self, bench: Bench, text: str) -> None:
        got: list[Event] = []
        bench.publish(first := event())
        bench.broker.put(bench.service, text)
        bench.publish(last := event())
        drain(bench.consumer(got.append), lambda: len(got) >= 2 and bool(bench.letters()))
        assert set(ids(got)) == {first.id, last.id}
        assert [letter.document for letter in bench.letters()] == [text]

    def test_an_event_that_meets_an_absent_store_is_never_set_aside(self, bench: Bench) -> None:
        got: list[Event] = []
        away = True
        tries = 0

        def handle(each: Event) -> None:
            nonlocal tries
            tries += 1
            if away:
                raise Unavailable("The store is away.")
            got.append(each)

        bench.publish(sent := event())
        # Nor by processes that come and go meanwhile.
        for _ in range(bus.MOST_ATTEMPTS + 1):
            consumer, before = bench.consumer(handle), tries
            drain(consumer, lambda before=before: tries > before + 2)  # type: ignore[misc]
            consumer.close()
        away = False
        consumer = bench.consumer(handle)
        drain(consumer, lambda: bool(got))
        assert (ids(got), bench.letters()) == ([sent.id], [])

    def test_nothing_is_trimmed_that_a_group_has_not_acknowledged(self, bench: Bench) -> None:
        events = [event(f"s{n}", n) for n in range(20)]
        got: list[Event] = []
        fast = bench.consumer(got.append, "fast")

        def half(each: Event) -> None:
            if each.data["version"] >= 10:
                raise Unavailable("not today")

        slow = bench.consumer(half, "slow")
        for consumer in (fast, slow):
            drain(consumer, lambda: True)
        bench.publish(*events)
        drain(fast, lambda: len(got) >= 20)
        for _ in range(5):
            with pytest.raises(Unavailable):
                until_it_raises(slow)
        bench.persist(bench.publisher.trim)
        left = bench.broker.kept(bench.service)
        assert 10 <= left <= 20
        late: list[Event] = []
        slow.close()
        drain(bench.consumer(late.append, "slow", "other"), lambda: len(late) >= 10)
        assert set(ids(late)) >= set(ids(events[10:]))
        bench.persist(bench.publisher.trim)
        assert bench.broker.kept(bench.service) <= 1

    def test_a_lost_topic_is_told_and_a_whole_one_is_not(self, bench: Bench) -> None:
        position = bench.publish(*(event(f"s{n}") for n in range(20)))
        assert bench.publish(after=position) == position
        later = bench.publish(event(), after=position)
        bench.broker.wipe(bench.service)
        with pytest.raises(bus.DataLost):
            bench.publish(after=later)
        with pytest.raises(bus.DataLost):
            bench.publish(*(event(f"s{n}") for n in range(20)), after=later)
        with pytest.raises(bus.DataLost):
            bench.publish(after="the words of another bus")
        assert bench.publish(event())

    @pytest.mark.parametrize("how", ["kill", "freeze"] if FULL else ["kill"])
    def test_an_absent_broker_is_told_in_time_and_nothing_is_lost(
        self, bench: Bench, how: str
    ) -> None:
        got: list[Event] = []
        consumer = bench.consumer(got.append)
        before, after = event(), event()
        bench.publish(before)
        drain(consumer, lambda: len(got) == 1)
        broker = bench.broker
        (broker.kill if how == "kill" else broker.freeze)()
        try:
            publish = bench.publisher.publish
            for work in (lambda: publish([event()]), lambda: until_it_raises(consumer)):
                began = time.monotonic()
                with pytest.raises(bus.away()):
                    work()
                assert time.monotonic() - began < 20
        finally:
            (broker.start if how == "kill" else broker.thaw)()
        wait_until(lambda: published(bench, after), 30)
        drain(consumer, lambda: after.id in ids(got), 60)


def survives(bench: Bench, member: str, told: Path, done: Callable[[], bool]) -> bool:
    """Whether a consumer in a process of its own is still there when all is done."""
    command = [sys.executable, "-m", "tests.events.deadly"]
    arguments = [bench.broker.url, bench.service, bench.group(), member, str(told)]
    consumer = subprocess.Popen(
        [*command, *arguments],
        cwd=REPOSITORY,
        env={**os.environ, "PYTHONPATH": str(MICROSERVICES)},
    )
    try:
        wait_until(lambda: consumer.poll() is not None or done(), 60)
    finally:
        consumer.kill()
    assert consumer.wait(10) == -signal.SIGKILL
    return done()


def until_it_raises(consumer: bus.Consumer) -> None:
    """Go on until a cycle raises: a broker that is gone takes a moment to be missed."""
    limit = time.monotonic() + 20
    while time.monotonic() < limit:
        consumer.cycle()


def published(bench: Bench, each: Event) -> bool:
    try:
        return bool(bench.publish(each))
    except bus.away():
        return False
