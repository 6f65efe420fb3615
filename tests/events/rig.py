"""A database with an outbox, an inbox and nothing else, and what writes to it and reads from it."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

import psycopg2
from sqlalchemy import create_engine
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from chassis import inbox, outbox, outbox_schema
from chassis.clock import SystemClock
from chassis.events import Event
from chassis.ids import new_id
from chassis.outbox import Relay
from chassis.postgres import connector
from tests.postgres_server import PostgresServer

TABLES = """
CREATE TABLE subjects (id text PRIMARY KEY, version bigint NOT NULL);
CREATE TABLE effects (subject text PRIMARY KEY, count bigint NOT NULL);
"""
INSERT = """
WITH changed AS (
    INSERT INTO subjects AS s VALUES (%(subject)s, 1)
    ON CONFLICT (id) DO UPDATE SET version = s.version + 1 RETURNING version)
INSERT INTO outbox (id, type, subject, time, data)
SELECT %(id)s, 'thing.changed', %(subject)s, now(), jsonb_build_object('version', version)
FROM changed
"""


def fresh_database(server: PostgresServer) -> str:
    """A database with the tables that every service has for its events; its URI."""
    dsn = server.create(f"events-{new_id().lower()}")
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(outbox_schema.SCHEMA)
        cursor.execute(outbox_schema.SCHEMA_0002)
        cursor.execute(outbox_schema.SCHEMA_0003)
        cursor.execute(TABLES)
    return dsn


def statements(dsn: str) -> Engine:
    """An engine whose statements are transactions of their own, as services have it."""
    return create_engine(
        "postgresql+psycopg2://",
        creator=connector(dsn, "read-write", "events-tests"),
        isolation_level="AUTOCOMMIT",
        pool_size=4,
    )


def fresh_engine(dsn: str, pool_size: int = 0) -> Engine:
    """An engine for transactions; its connections end with their use unless there is a pool."""
    pool = {"pool_size": pool_size} if pool_size else {"poolclass": NullPool}
    return create_engine(
        "postgresql+psycopg2://", creator=connector(dsn, "read-write", "events-tests"), **pool
    )


def relay(dsn: str, sink: outbox.Sink) -> Relay:
    """A relay of the database at this URI to one sink, `bus`."""
    return Relay(statements(dsn), "/matriz/things", {"bus": sink})


def write(dsn: str, *subjects: str) -> list[str]:
    """Change these subjects in one transaction; the ids of the events that tell of it."""
    ids = [new_id() for _ in subjects]
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        for event_id, subject in zip(ids, subjects, strict=True):
            cursor.execute(INSERT, {"id": event_id, "subject": subject})
    return ids


def first_time_in(dsn: str, taken: Event, *, consumer: str = "tests", commit: bool = True) -> bool:
    """Whether the inbox says that an event is new."""
    with Session(fresh_engine(dsn)) as session:
        first = inbox.first_time(session, consumer, taken)
        (session.commit if commit else session.rollback)()
        return first


def event(subject: str = "one", version: int = 1, lamport: int = 1) -> Event:
    """An event that no outbox wrote."""
    now = SystemClock().now().isoformat()
    told = {"version": version}
    return Event(new_id(), "/matriz/things", "thing.changed", subject, now, lamport, told)


class Recorder:
    """A sink that remembers, in the order of arrival."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def publish(self, events: Sequence[Event], after: str | None = None) -> str:
        self.events.extend(events)
        return str(len(self.events))

    @property
    def ids(self) -> list[str]:
        return [event.id for event in self.events]


@dataclass
class Writers:
    """Transactions side by side: some slow to commit, some that never do.

    Attributes:
        rows: events that are committed, at least.
        delay: the longest pause before a commit, in seconds.
        subjects: how many things the events are about.
        most: events in one transaction, at most.
    """

    dsn: str
    rows: int
    delay: float
    subjects: int = 1000
    most: int = 8
    count: int = 16
    rollbacks: float = 0.2
    committed: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self) -> None:
        """Return when all is written."""
        threads = [threading.Thread(target=self._write, args=(n,)) for n in range(self.count)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(self.committed) >= self.rows

    def _write(self, number: int) -> None:
        chance = random.Random(number)
        with closing(psycopg2.connect(self.dsn)) as connection, connection.cursor() as cursor:
            while len(self.committed) < self.rows:
                ids = [new_id() for _ in range(chance.randint(1, self.most))]
                # Sorted: no two writers wait for each other.
                chosen = sorted(chance.randrange(self.subjects) for _ in ids)
                for event_id, subject in zip(ids, chosen, strict=True):
                    cursor.execute(INSERT, {"id": event_id, "subject": f"s{subject}"})
                time.sleep(chance.random() * self.delay)
                if chance.random() < self.rollbacks:
                    connection.rollback()
                    continue
                connection.commit()
                with self._lock:
                    self.committed.update(ids)


class Running:
    """Calls a function again and again in a thread, until the end of the block."""

    def __init__(self, work: Callable[[], object]) -> None:
        self._work = work
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.errors: list[Exception] = []

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                self._work()
            except Exception as error:
                self.errors.append(error)
                self._stop.wait(0.05)

    def __enter__(self) -> Running:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(30)
        assert not self._thread.is_alive()


def deliver(one: Relay, most: int = 1000) -> None:
    """Have a relay deliver all that there is."""
    for _ in range(most):
        if not one.cycle():
            return
    raise AssertionError(f"it still goes on after {most} cycles")


def value(dsn: str, query: str) -> object:
    """The first column of the first row that a query finds, or None."""
    with closing(psycopg2.connect(dsn)) as connection, connection.cursor() as cursor:
        cursor.execute(query)
        found = cursor.fetchone()
        return found[0] if found else None
