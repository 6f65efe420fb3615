"""The outbox: what is delivered of it, and in which order."""

from __future__ import annotations

from contextlib import closing

import psycopg2
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from psycopg2.extensions import connection as Connection

from tests.events.rig import INSERT, Recorder, deliver, event, first_time_in, relay, value, write


def change(connection: Connection, event_id: str, subject: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(INSERT, {"id": event_id, "subject": subject})


def test_what_waited_for_a_later_transaction_is_delivered_after_it(dsn: str) -> None:
    sink = Recorder()
    ours = relay(dsn, sink)
    deliver(ours)
    with (
        closing(psycopg2.connect(dsn)) as early,
        closing(psycopg2.connect(dsn)) as other,
        closing(psycopg2.connect(dsn)) as late,
    ):
        change(early, "a", "first")
        change(other, "b", "second")
        change(late, "c1", "shared")
        late.commit()
        change(early, "c2", "shared")
        early.commit()
        deliver(ours)
        assert sink.ids == ["a", "c1", "c2"], "`other` still runs, between the two"
        other.commit()
    deliver(ours)
    assert sink.ids == ["a", "c1", "c2", "b", "c1"]
    assert [e.data["version"] for e in sink.events if e.subject == "shared"] == [1, 2, 1]


# n events in transactions of a hundred: one after the other, or all at once.
WRITTEN = """
INSERT INTO outbox (txid, id, type, subject, time, data)
SELECT CAST(CAST({first} + {transaction} AS text) AS xid8), '{first}.' || n, 'thing.changed',
    's' || n, now(), '{{}}'
FROM generate_series(0, {n} - 1) AS n
"""
WAITING = 40_000


@pytest.mark.parametrize("transaction", ["n / 100", "n % 400"])
def test_a_backlog_is_delivered_however_long_it_is(dsn: str, transaction: str) -> None:
    name = value(dsn, "SELECT current_database()")
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        # Statistics that know nothing of what waits: a plan by them takes it for a row or two.
        cursor.execute(WRITTEN.format(first=3, transaction="0", n=5000))
        cursor.execute("ANALYZE outbox")
        cursor.execute(WRITTEN.format(first=100, transaction=transaction, n=WAITING))
        # A window that was left half delivered, with as much again behind it.
        cursor.execute(
            "INSERT INTO outbox_cursors (sink, low, high, seq)"
            " SELECT 'bus', '100', '300', seq FROM outbox WHERE id = '100.5000'"
        )
        cursor.execute(f"ALTER DATABASE \"{name}\" SET statement_timeout = '2s'")
        cursor.execute(
            "SELECT id FROM outbox WHERE txid >= '100' AND (txid >= '300' OR seq > 10001)"
        )
        waiting = [row[0] for row in cursor.fetchall()]
    sink = Recorder()

    deliver(relay(dsn, sink))

    assert sorted(sink.ids) == sorted(waiting)


def test_a_short_window_does_not_pass_a_transaction_that_is_open(
    dsn: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.outbox.WINDOW_BATCHES", 1)
    sink = Recorder()
    ours = relay(dsn, sink)
    ours._batch = 1
    with closing(psycopg2.connect(dsn)) as late:
        change(late, "late", "late")
        others = [write(dsn, f"other {n}")[0] for n in range(5)]
        deliver(ours)
        assert sink.ids == []
        late.commit()
    deliver(ours)
    assert sink.ids == ["late", *others]


# Transactions and what each event is about, in the order in which locks were had.
HISTORIES = st.lists(st.tuples(st.integers(3, 9), st.sampled_from("abc")), max_size=14)


@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(history=HISTORIES, batch=st.integers(1, 3), batches=st.integers(1, 3))
def test_whatever_the_windows_nothing_is_skipped_and_each_subject_keeps_its_order(
    dsn: str,
    monkeypatch: pytest.MonkeyPatch,
    history: list[tuple[int, str]],
    batch: int,
    batches: int,
) -> None:
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("TRUNCATE outbox, outbox_cursors RESTART IDENTITY")
        for number, (transaction, subject) in enumerate(history):
            cursor.execute(
                "INSERT INTO outbox (txid, id, type, subject, time, data)"
                " VALUES (%s, %s, 'thing.changed', %s, now(), '{}')",
                (str(transaction), str(number), subject),
            )
    sink = Recorder()
    ours = relay(dsn, sink)
    ours._batch = batch
    monkeypatch.setattr("chassis.outbox.WINDOW_BATCHES", batches)

    deliver(ours)
    ours._forget_connection()

    first = list(dict.fromkeys(sink.ids))
    assert sorted(first) == sorted(str(number) for number in range(len(history)))
    for subject in "abc":
        mine = [int(each) for each in first if history[int(each)][1] == subject]
        assert mine == sorted(mine)


def test_every_event_has_its_place_in_the_logical_clock(dsn: str) -> None:
    sink = Recorder()
    write(dsn, "s1", "s1")
    deliver(relay(dsn, sink))
    assert [e.lamport for e in sink.events] == [1, 2]


@pytest.mark.parametrize("seen", [0, 7, 1_000_000])
def test_what_follows_an_event_is_above_it_in_the_logical_clock(dsn: str, seen: int) -> None:
    sink = Recorder()
    write(dsn, "s1", "s2")
    assert first_time_in(dsn, event(lamport=seen))
    write(dsn, "s3")
    deliver(relay(dsn, sink))
    assert sink.events[-1].lamport == max(3, seen + 1)
