"""The inbox: an event that comes again has no second effect."""

from __future__ import annotations

from sqlalchemy import text

from chassis import inbox
from tests.events.rig import event, first_time_in, statements


def test_an_event_in_the_inbox_has_no_second_effect_and_a_failed_one_none(dsn: str) -> None:
    seen = event()
    assert [first_time_in(dsn, seen), first_time_in(dsn, seen)] == [True, False]
    assert first_time_in(dsn, seen, consumer="another") is True
    failed = event()
    assert first_time_in(dsn, failed, commit=False) is True
    assert first_time_in(dsn, failed) is True


def test_old_ids_leave_the_inbox_and_young_ones_stay(dsn: str) -> None:
    old, young = event(), event()
    for each in (old, young):
        first_time_in(dsn, each)
    with statements(dsn).connect() as connection:
        connection.execute(
            text("UPDATE inbox SET at = now() - interval '8 days' WHERE event_id = :id"),
            {"id": old.id},
        )
    assert inbox.prune(statements(dsn)) is False
    assert [first_time_in(dsn, young), first_time_in(dsn, old)] == [False, True]
