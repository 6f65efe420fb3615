"""Promise 15 on any bus: killed relays, duplicates and poison have no double effect."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Sequence
from contextlib import closing, suppress
from multiprocessing import get_context

import psycopg2
from sqlalchemy import text
from sqlalchemy.orm import Session

from chassis import bus, inbox
from chassis.events import Event
from chassis.outbox import Relay
from tests.events.rig import fresh_engine, relay, write
from tests.race.rig import FULL, figure
from tests.shop import wait_until

KILLS, EVENTS, POISON = (50, 10_000, 10) if FULL else (1, 100, 2)


class Effects:
    """Counts every event of a subject: an effect that would show if it came twice."""

    def __init__(self, dsn: str, service: str) -> None:
        self.engine = fresh_engine(dsn, pool_size=2)
        self.poison: set[str] = set()
        self.service = service

    def handle(self, event: Event) -> None:
        if event.subject in self.poison:
            raise ValueError("poison")
        with Session(self.engine) as session:
            if inbox.first_time(session, self.service, event):
                session.execute(
                    text(
                        "INSERT INTO effects AS e VALUES (:subject, 1)"
                        " ON CONFLICT (subject) DO UPDATE SET count = e.count + 1"
                    ),
                    {"subject": event.subject},
                )
            session.commit()

    def counts(self) -> dict[str, int]:
        with Session(self.engine) as session:
            rows = session.execute(text("SELECT subject, count FROM effects")).all()
        return {row.subject: row.count for row in rows}


def drain(consumer: bus.Consumer, enough: int, effects: Effects, seconds: float) -> None:
    """Consume until so many subjects had their effect."""

    def once() -> bool:
        try:
            if consumer.cycle():
                return False
        except (ValueError, *bus.away()):
            return False
        return len(effects.counts()) >= enough

    wait_until(once, seconds)


def deliver(one: Relay, seconds: float) -> None:
    """All that waits; a topic that was just made may refuse for a moment."""

    def nothing_left() -> bool:
        with suppress(*bus.away()):
            return not one.cycle()
        return False

    wait_until(nothing_left, seconds)


def killed_relays_have_no_double_effect(dsn: str, url: str, service: str) -> None:
    """Each relay is killed after it has published and before it has taken note of that."""
    effects = Effects(dsn, service)
    publisher = bus.publisher(url, service)
    consumer = bus.consumer(
        url, service=service, group=f"g-{service}", member="one", handle=effects.handle
    )
    killed, written = 0, 0
    for _ in range(KILLS):
        write(dsn, *(f"s{written + n}" for n in range(5)))
        written += 5
        killed += relay_in_a_process_that_dies(dsn, url, service)
        drain(consumer, written, effects, 60)
    last = relay(dsn, publisher)
    deliver(last, 20)
    drain(consumer, written, effects, 30)
    consumer.close()
    counts = effects.counts()
    figure(
        "promise 15",
        f"{killed} relays killed between publishing and taking note; {written} events, "
        f"effects {sum(counts.values())}",
    )
    assert killed == KILLS
    assert counts == {f"s{n}": 1 for n in range(written)}


def relay_in_a_process_that_dies(dsn: str, url: str, service: str) -> bool:
    """Whether a process with a relay died between publishing a batch and taking note of it.

    It is not forked: what a client of Kafka leaves behind in a fork crashes it.
    """
    process = get_context("spawn").Process(target=relay_until_death, args=(dsn, url, service))
    process.start()
    process.join(60)
    return process.exitcode == -signal.SIGKILL


def relay_until_death(dsn: str, url: str, service: str) -> None:
    """In a process of its own: deliver what there is, and die of it."""
    one = relay(dsn, Deadly(bus.publisher(url, service)))
    limit = time.monotonic() + 30
    while time.monotonic() < limit:
        with suppress(*bus.away()):
            one.duty()


class Deadly:
    """A sink after which the process is no more."""

    def __init__(self, publisher: bus.Publisher) -> None:
        self._publisher = publisher

    def publish(self, events: Sequence[Event], after: str | None = None) -> str:
        position = self._publisher.publish(events, after)
        if events:
            os.kill(os.getpid(), signal.SIGKILL)
        return position


def poison_among_many_is_parked_and_replayable(dsn: str, url: str, service: str) -> None:
    """All others are done, and a replay after the fault is mended does the rest."""
    effects = Effects(dsn, service)
    effects.poison = {f"s{n * (EVENTS // POISON) + 3}" for n in range(POISON)}
    with closing(psycopg2.connect(dsn)):
        for start in range(0, EVENTS, 500):
            write(dsn, *(f"s{n}" for n in range(start, min(EVENTS, start + 500))))
    one = relay(dsn, bus.publisher(url, service))
    deliver(one, 60)
    group = f"g-{service}"
    consumer = bus.consumer(url, service=service, group=group, member="one", handle=effects.handle)
    drain(consumer, EVENTS - POISON, effects, 60)
    box = bus.dead_letters(url, group)
    wait_until(lambda: len(box.letters()) == POISON or not _cycle(consumer), 30)
    parked = box.letters()
    consumer.close()
    effects.poison = set()
    for letter in parked:
        effects.handle(Event.parse(json.loads(letter.document)))
        box.remove(letter)
    counts = effects.counts()
    figure("promise 15", f"{EVENTS} events, {len(parked)} parked, effects {sum(counts.values())}")
    assert len(parked) == POISON
    assert box.letters() == []
    assert counts == {f"s{n}": 1 for n in range(EVENTS)}


def _cycle(consumer: bus.Consumer) -> bool:
    with suppress(ValueError, *bus.away()):
        consumer.cycle()
    return True
