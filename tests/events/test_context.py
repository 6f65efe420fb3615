"""Which request an event comes of is in the outbox, whoever wrote it, and goes out with it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog
from prometheus_client import REGISTRY
from sqlalchemy import text

from chassis import correlation, delivery, outbox
from chassis.clock import SystemClock
from chassis.ids import new_id
from chassis.outbox import NewEvent
from tests.events import rig
from tests.events.rig import Recorder, statements

# As the services' functions do: it knows nothing of requests.
FUNCTION = """
CREATE FUNCTION tell(event text, of_subject text) RETURNS text LANGUAGE sql AS $$
    INSERT INTO outbox (id, type, subject, time, data)
    VALUES (event, 'thing.changed', of_subject, now(), '{}') RETURNING id
$$
"""


@pytest.fixture(autouse=True)
def _nothing_bound() -> Iterator[None]:
    structlog.contextvars.clear_contextvars()
    yield
    structlog.contextvars.clear_contextvars()


def test_an_event_says_which_request_it_comes_of_and_no_other_does(dsn: str) -> None:
    engine = statements(dsn)
    ids = [new_id() for _ in range(3)]
    with engine.connect() as connection:
        connection.execute(text(FUNCTION))

        def tell(number: int, sql: str = "SELECT tell(:id, 'one')" + correlation.SET) -> None:
            known = {"id": ids[number], "context": correlation.dumped()}
            assert connection.execute(text(sql), known).scalar_one() == ids[number]

        correlation.begin("request-1")
        tell(0)
        outbox.append(connection.execute, [NewEvent("thing.changed", "one", {})], SystemClock())
        # The setting was of that transaction only, and so is a request's.
        tell(1, "SELECT tell(:id, 'one') WHERE :context <> ''")
        correlation.end()
        tell(2)
        outbox.append(connection.execute, [NewEvent("thing.changed", "one", {})], SystemClock())
    sink = Recorder()
    relay = rig.relay(dsn, sink)
    while relay.cycle():
        pass
    known = {"requestid": "request-1"}
    assert [event.context for event in sink.events] == [known, known, {}, {}, {}]


def test_what_waits_is_measured_with_its_age(dsn: str) -> None:
    engine, sink = statements(dsn), Recorder()
    relay = rig.relay(dsn, sink)

    def measured() -> tuple[float | None, ...]:
        delivery.measure(engine, "measured")
        names = ("feira_outbox_pending", "feira_outbox_lag_seconds")
        of_sink = {"service": "measured", "sink": "bus"}
        return tuple(REGISTRY.get_sample_value(name, of_sink) for name in names)

    while relay.cycle():
        pass
    assert measured() == (0.0, 0.0)
    rig.write(dsn, "one", "two")
    with engine.connect() as connection:
        connection.execute(text("UPDATE outbox SET time = now() - interval '90 seconds'"))
    pending, age = measured()
    assert pending == 2.0 and age is not None and 90 <= age < 120
    while relay.cycle():
        pass
    assert (len(sink.events), measured()) == (2, (0.0, 0.0))
