"""Promises 14 and 16: the outbox skips nothing, and keeps the order of each aggregate."""

from __future__ import annotations

import itertools
import random
import threading
from collections import defaultdict
from contextlib import ExitStack, closing

import psycopg2
import pytest

from tests.events.conftest import dsn, postgres, redis, redis_of_the_session
from tests.events.rig import Recorder, Running, Writers, relay
from tests.race.rig import FULL, figure
from tests.shop import wait_until

__all__ = ["dsn", "postgres", "redis", "redis_of_the_session"]

ROWS, DELAY, MOST_ROWS = (50_000, 2.0, 40) if FULL else (400, 0.3, 8)
ORDERS, VERSIONS = (10_000, 4) if FULL else (100, 4)


class PlainCursor:
    """The relay as one writes it first: whatever is above the last number it saw."""

    def __init__(self, dsn: str) -> None:
        self._connection = psycopg2.connect(dsn)
        self._connection.autocommit = True
        self._last = 0
        self.ids: list[str] = []

    def cycle(self) -> bool:
        with self._connection.cursor() as cursor:
            query = "SELECT seq, id FROM outbox WHERE seq > %s ORDER BY seq LIMIT 500"
            cursor.execute(query, [self._last])
            rows = cursor.fetchall()
        if rows:
            self._last = rows[-1][0]
            self.ids += [row[1] for row in rows]
        return bool(rows)

    def close(self) -> None:
        self._connection.close()


@pytest.mark.promise(14, minutes=3)
@pytest.mark.timeout(1800)
def test_everything_committed_is_delivered_and_nothing_else(dsn: str) -> None:
    # Many subjects: writers that wait for each other would take hours at these delays.
    writers = Writers(dsn, ROWS, DELAY, subjects=100 * ROWS, most=MOST_ROWS)
    sink = Recorder()
    ours = relay(dsn, sink)

    with closing(PlainCursor(dsn)) as plain:
        with Running(ours.duty) as running, Running(plain.cycle) as control:
            writers.run()
            wait_until(lambda: len(set(sink.ids)) >= len(writers.committed), 60)
        while ours.cycle() or plain.cycle():
            pass

    skipped = len(writers.committed) - len(set(plain.ids))
    figure(
        "promise 14",
        f"{len(writers.committed)} rows of {writers.count} writers committed, {len(sink.ids)} "
        f"delivered; the plain cursor skipped {skipped}",
    )
    assert (running.errors, control.errors) == ([], [])
    assert set(sink.ids) == writers.committed
    assert len(sink.ids) == len(set(sink.ids)), "nothing broke, so nothing came twice"
    assert skipped > 0, "these writers would not have caught a wrong relay"


@pytest.mark.promise(16, minutes=1)
@pytest.mark.timeout(1800)
def test_the_order_of_an_aggregate_survives_relays_that_come_and_go(dsn: str) -> None:
    writers = Writers(
        dsn, ORDERS * VERSIONS, 0.02, subjects=ORDERS, most=4 if FULL else 3, rollbacks=0.1
    )
    sink = Recorder()
    relays = [relay(dsn, sink) for _ in range(4)]
    ended = 0
    with ExitStack() as stack, closing(psycopg2.connect(dsn)) as admin:
        admin.autocommit = True
        running = [stack.enter_context(Running(each.duty)) for each in relays]
        writing = threading.Thread(target=writers.run)
        writing.start()
        while writing.is_alive():
            writing.join(0.5 + random.random() / 2)
            ended += end_the_one_that_delivers(admin)
        wait_until(lambda: set(sink.ids) >= writers.committed, 60)
    versions, inversions = first_arrivals(sink)
    figure(
        "promise 16",
        f"{len(sink.ids)} deliveries of {len(writers.committed)} events of {len(versions)} "
        f"aggregates by 4 relays, {ended} of which lost their connection; inversions {inversions}",
    )
    assert ended > 0
    assert sum(len(each.errors) for each in running) >= ended
    assert set(sink.ids) == writers.committed
    assert inversions == 0


def end_the_one_that_delivers(admin: psycopg2.extensions.connection) -> int:
    """Cut the connection of the relay that holds the lock; how many that were."""
    with admin.cursor() as cursor:
        cursor.execute(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE locktype = 'advisory'"
            " AND granted AND database = (SELECT oid FROM pg_database"
            " WHERE datname = current_database())"
        )
        found = cursor.fetchone()
    return int(found[0]) if found else 0


def first_arrivals(sink: Recorder) -> tuple[dict[str, list[int]], int]:
    """The versions of each subject as a consumer applies them, and how often one was too early."""
    applied: dict[str, list[int]] = defaultdict(list)
    seen: set[str] = set()
    for event in sink.events:
        if event.id not in seen:
            seen.add(event.id)
            applied[event.subject].append(event.data["version"])
    pairs = (pair for each in applied.values() for pair in itertools.pairwise(each))
    return applied, sum(later <= earlier for earlier, later in pairs)
