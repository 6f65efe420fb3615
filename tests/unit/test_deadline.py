"""The deadline of the work at hand, and what waits within it."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Iterator

import psycopg2
import pytest
from sqlalchemy.exc import InternalError
from sqlalchemy.exc import TimeoutError as PoolTimeout

import chassis.postgres
from chassis import deadline
from chassis.db import Database
from chassis.http_client import NoTime, NotNow, ServiceClient, Unreachable
from chassis.postgres import (
    READ_ONLY_TRANSACTION,
    Backoff,
    NoHostServes,
    connector,
    engine_for,
    install_wait_callback,
)
from chassis.problems import Unavailable
from tests.contract.services import apps
from tests.stand_in import Answer, StandIn


@pytest.fixture
def stand_in() -> Iterator[StandIn]:
    running = StandIn()
    yield running
    running.stop()


def client(*urls: str) -> ServiceClient:
    return ServiceClient("catalog", ",".join(urls), pool_size=1, service_token="t" * 32)


def test_a_scope_inside_another_only_shortens_it() -> None:
    assert math.isinf(deadline.remaining())
    with deadline.within(5):
        with deadline.within(60):
            assert 4.5 < deadline.remaining() <= 5
        with deadline.within(0):
            assert deadline.remaining() == 0
            with pytest.raises(deadline.DeadlinePassed) as passed:
                deadline.check()
            assert passed.value.headers == {"Retry-After": "1"}
        deadline.check()
    assert math.isinf(deadline.remaining())


def test_another_thread_has_a_deadline_of_its_own() -> None:
    seen: list[float] = []
    with deadline.within(5):
        thread = threading.Thread(target=lambda: seen.append(deadline.remaining()))
        thread.start()
        thread.join()
    assert seen == [math.inf]


@pytest.mark.parametrize("value", [None, "", "-1", "1.5", "soon", "١٢", "1" * 10])
def test_nonsense_from_a_caller_is_no_deadline(value: str | None) -> None:
    assert deadline.from_header(value) == math.inf


def test_a_service_is_told_how_long_it_has_and_ends_in_time(stand_in: StandIn) -> None:
    url = f"http://127.0.0.1:{stand_in.port}"
    client(url).call("GET", "/x", seconds=2, repeatable=True)
    with deadline.within(0.1):
        client(url).call("GET", "/x", seconds=2, repeatable=True)

    long, short = (int(each.headers[deadline.HEADER]) for each in stand_in.arrivals)
    assert 1600 < long <= 1800 and 1 <= short <= 50


def test_a_request_has_what_its_caller_says_and_no_more_than_its_service_allows() -> None:
    app = apps()["cart"]
    seen: list[float] = []
    with app.test_request_context(headers={deadline.HEADER: "700"}):
        app.preprocess_request()
        seen.append(deadline.remaining())
    with app.test_request_context(headers={deadline.HEADER: "90000"}):
        app.preprocess_request()
        seen.append(deadline.remaining())
    assert 0.5 < seen[0] <= 0.7 and 4 < seen[1] <= 4.5
    assert math.isinf(deadline.remaining())


def test_of_two_instances_the_one_that_lives_has_the_say(stand_in: StandIn) -> None:
    silent = StandIn(lambda _: Answer(delay=1))
    stand_in.respond = lambda _: Answer(503)
    try:
        urls = [f"http://127.0.0.1:{each.port}" for each in (silent, stand_in)]
        with pytest.raises(NotNow):
            client(*urls).call("GET", "/x", seconds=0.4, repeatable=True)
    finally:
        silent.stop()


def test_nothing_is_sent_when_no_time_is_left_and_that_is_nobodys_silence(
    stand_in: StandIn,
) -> None:
    asked = client(f"http://127.0.0.1:{stand_in.port}")
    for seconds in (0, 0.01):
        with deadline.within(seconds), pytest.raises(NoTime):
            asked.call("GET", "/x", seconds=2, repeatable=True)
    assert stand_in.arrivals == []
    assert issubclass(NoTime, Unreachable) and issubclass(NoTime, deadline.DeadlinePassed)


def test_a_place_in_the_pool_is_waited_for_until_the_deadline() -> None:
    engine = engine_for(
        "postgresql://127.0.0.1:1/none",
        "read-write",
        pool_size=1,
        wait_seconds=30,
        application_name="test",
    )
    engine.pool._overflow = 0  # type: ignore[attr-defined]  # its one connection is out
    began = time.monotonic()
    with deadline.within(0.2), pytest.raises(PoolTimeout):
        engine.connect()
    assert time.monotonic() - began < 2


@pytest.mark.parametrize("woken_late", [0, 0.2])
def test_a_primary_that_is_none_any_more_at_the_last_moment_is_503(
    monkeypatch: pytest.MonkeyPatch, woken_late: float
) -> None:
    class ReadOnly(psycopg2.InternalError):
        pgcode = READ_ONLY_TRANSACTION

    def connect() -> None:
        raise InternalError("UPDATE", None, ReadOnly("cannot execute UPDATE"))

    database = Database(
        "test",
        "postgresql://127.0.0.1:1/none",
        pool_size=1,
        wait_seconds=30,
        application_name="test",
    )
    monkeypatch.setattr(database.primary, "connect", connect)
    sleep = time.sleep
    monkeypatch.setattr("chassis.postgres.time.sleep", lambda pause: sleep(pause + woken_late))
    with deadline.within(0.1), pytest.raises(Unavailable, match="no primary"):
        database.call("UPDATE", {}, repeatable=False)


def test_a_host_that_took_all_the_time_is_asked_after_the_others_the_next_time() -> None:
    install_wait_callback(30)
    with (
        socket.create_server(("127.0.0.1", 0)) as mute,
        socket.create_server(("127.0.0.1", 0)) as other,
    ):
        ports = f"127.0.0.1:{mute.getsockname()[1]},127.0.0.1:{other.getsockname()[1]}"
        connect = connector(f"postgresql://{ports}/none?sslmode=disable", "read-write", "test")
        other.settimeout(0)
        # Too short to call it silent, and all the time there was
        with deadline.within(0.2), pytest.raises(NoHostServes, match="no time left"):
            connect()
        with pytest.raises(BlockingIOError):
            other.accept()
        with deadline.within(0.2), pytest.raises(NoHostServes):
            connect()
        other.accept()[0].close()


def test_connecting_and_trying_again_end_with_the_deadline(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    connect = connector("postgresql://127.0.0.1:1,127.0.0.1:2/none", "read-write", "test")
    with deadline.within(0), pytest.raises(NoHostServes, match="no time left"):
        connect()
    slept: list[float] = []
    monkeypatch.setattr(chassis.postgres.time, "sleep", slept.append)
    with deadline.within(0.015):
        assert not Backoff(30, first=0.04).wait(lambda: 0.0)
    with deadline.within(60):
        assert Backoff(0, first=0.04).wait(lambda: 0.0)
    assert slept == [0.02]
