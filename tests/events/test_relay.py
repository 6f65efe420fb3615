"""The relay: who delivers, what wakes it, and what it does when the bus lost what it had."""

from __future__ import annotations

import json
import time
from contextlib import closing

import psycopg2
import pytest

from chassis import bell, bus
from chassis.bus.port import DataLost
from tests.cart.rig import RedisServer
from tests.events.rig import Recorder, Running, deliver, event, relay, value, write
from tests.postgres_server import PostgresServer
from tests.race.rig import FULL
from tests.shop import wait_until

END_THE_RELAY = """
SELECT count(pg_terminate_backend(pid, 10000)) FROM pg_locks WHERE locktype = 'advisory' AND granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


def stream(redis: RedisServer) -> list[str]:
    """The ids of the events in the stream, in order."""
    entries = redis.client.xrange("events:things")
    return [json.loads(fields["event"])["id"] for _, fields in entries]


def test_one_of_two_relays_delivers_and_the_other_takes_over(dsn: str) -> None:
    first, second = Recorder(), Recorder()
    one, two = relay(dsn, first), relay(dsn, second)
    deliver(one)
    written = write(dsn, "s1", "s2")
    assert two.cycle() is False
    deliver(one)
    assert (first.ids, second.ids) == (written, [])

    value(dsn, END_THE_RELAY)
    later = write(dsn, "s3")
    deliver(two)
    with pytest.raises(Exception, match=r"terminat|closed"):
        one.cycle()
    assert one.cycle() is False
    assert (first.ids, second.ids) == (written, later)


def test_a_relay_that_cannot_deliver_lets_another_try(dsn: str) -> None:
    class Broken(Recorder):
        def publish(self, *_: object) -> str:
            raise bus.BusAway("no way to the bus from here")

    sink = Recorder()
    one, two = relay(dsn, Broken()), relay(dsn, sink)
    written = write(dsn, "s1")
    with pytest.raises(bus.BusAway):
        deliver(one)
    # PostgreSQL takes a moment to see that the other's connection has gone, and its lock with it.
    wait_until(lambda: deliver(two) or sink.ids, 10)
    assert sink.ids == written


def test_a_relay_at_rest_is_woken_by_a_commit_and_does_not_poll(dsn: str) -> None:
    sink = Recorder()
    ours = relay(dsn, sink)
    cycles = 0

    def duty() -> None:
        nonlocal cycles
        ours.duty()
        cycles += 1

    with Running(duty):
        wait_until(lambda: value(dsn, "SELECT asleep FROM outbox_relay"), 10)
        write(dsn, "warm-up")
        wait_until(lambda: sink.ids, 5)
        wait_until(lambda: value(dsn, "SELECT asleep FROM outbox_relay"), 10)

        def looks_once_a_second() -> bool:
            before = cycles
            time.sleep(1.2)
            return cycles - before <= 2

        # It goes on polling for as long as a transaction of before may be running, whosever it is.
        wait_until(looks_once_a_second, 20)
        written = write(dsn, "s1")
        began = time.monotonic()
        wait_until(lambda: written[0] in sink.ids, 5)
        assert time.monotonic() - began < 0.6 * bell.POLL_SECONDS


@pytest.mark.skipif(not FULL, reason="waits for what is not lost, only late: make race")
def test_a_relay_without_its_bell_finds_what_was_written(dsn: str) -> None:
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("DROP TRIGGER wake_relay ON outbox")
    sink = Recorder()
    with Running(relay(dsn, sink).duty):
        wait_until(lambda: value(dsn, "SELECT asleep FROM outbox_relay"), 10)
        time.sleep(3 * bell.AWAKE_POLL_SECONDS)
        written = write(dsn, "s1")
        wait_until(lambda: sink.ids == written, 3 * bell.POLL_SECONDS)


def test_nobody_rings_while_the_relay_is_awake(dsn: str) -> None:
    with closing(psycopg2.connect(dsn)) as listener, listener.cursor() as cursor:
        listener.autocommit = True
        cursor.execute(f"LISTEN {bell.CHANNEL}")
        write(dsn, "s1")
        cursor.execute("UPDATE outbox_relay SET asleep = true")
        assert listener.notifies == []
        write(dsn, "s2")
        wait_until(lambda: listener.poll() or listener.notifies, 5)


def test_the_relay_comes_back_after_its_server_did(postgres: PostgresServer, dsn: str) -> None:
    sink = Recorder()
    with Running(relay(dsn, sink).duty) as running:
        wait_until(lambda: value(dsn, "SELECT asleep FROM outbox_relay"), 10)
        postgres.stop()
        postgres.start()
        written = write(dsn, "s1")
        wait_until(lambda: sink.ids == written, 10)
    assert running.errors


def test_a_redis_made_anew_gets_everything_that_is_kept(dsn: str, redis: RedisServer) -> None:
    ours = relay(dsn, bus.publisher(redis.url, "things"))
    written = write(dsn, "s1", "s2")
    deliver(ours)
    assert stream(redis) == written
    redis.client.flushall()

    later = write(dsn, "s3")
    deliver(ours)

    assert stream(redis) == written + later


def test_an_idle_relay_notices_as_well(
    dsn: str, redis: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.outbox.CHECK_SECONDS", 0.2)
    ours = relay(dsn, bus.publisher(redis.url, "things"))
    written = write(dsn, "s1")
    deliver(ours)
    redis.kill()
    redis.start()

    with Running(ours.duty):
        wait_until(lambda: stream(redis) == written, 15)


def test_a_redis_that_lost_its_end_gets_only_what_it_lost(dsn: str, redis: RedisServer) -> None:
    ours = relay(dsn, bus.publisher(redis.url, "things"))
    kept = [*write(dsn, "s1"), *write(dsn, "s2")]
    deliver(ours)
    entries = redis.client.xrange("events:things")
    lost = [*write(dsn, "s2"), *write(dsn, "s3")]
    deliver(ours)
    # As after a crash: what was appended within the last second is not there.
    redis.client.delete("events:things")
    for entry, fields in entries:
        redis.client.xadd("events:things", fields, id=entry)

    later = write(dsn, "s4")
    deliver(ours)

    assert stream(redis) == [*kept, kept[1], *lost, *later]


def test_a_bus_that_still_has_everything_is_not_given_it_twice(
    dsn: str, redis: RedisServer
) -> None:
    publisher = bus.publisher(redis.url, "things")
    written = write(dsn, "s1")
    deliver(relay(dsn, publisher))
    redis.client.xtrim("events:things", maxlen=0)
    value(dsn, END_THE_RELAY)
    later = write(dsn, "s2")
    deliver(relay(dsn, publisher))
    assert stream(redis) == later, f"{written} was acknowledged and trimmed, not lost"


def test_losing_data_is_told_with_what_was_kept(redis: RedisServer) -> None:
    publisher = bus.publisher(redis.url, "things")
    first = event()
    position = publisher.publish([first])
    assert publisher.publish([], position) == position
    later = f"{int(position.partition('-')[0]) + 1}-0"
    with pytest.raises(DataLost) as lost:
        publisher.publish([event()], later)
    assert lost.value.kept == first.id
    assert stream(redis) == [first.id], "nothing goes in before what was lost"
