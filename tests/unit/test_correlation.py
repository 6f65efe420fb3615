"""Which request the work at hand belongs to: what is bound, carried on, and taken up again."""

from __future__ import annotations

import json

import pytest
import structlog

from chassis import correlation
from chassis.bus.attempts import Attempts
from chassis.bus.port import MOST_ATTEMPTS
from chassis.events import Event

TRACEPARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture(autouse=True)
def _nothing_bound() -> None:
    structlog.contextvars.clear_contextvars()


def bound() -> dict[str, object]:
    return structlog.contextvars.get_contextvars()


def test_a_request_forgets_what_the_one_before_was_about() -> None:
    correlation.begin("request-1")
    correlation.note(order="A")
    assert (bound(), correlation.current()) == (
        {"request_id": "request-1", "order": "A"},
        {"requestid": "request-1"},
    )
    correlation.begin("request-2")
    assert bound() == {"request_id": "request-2"}
    correlation.end()
    assert (bound(), correlation.current(), correlation.dumped()) == ({}, {}, "")


def test_work_that_goes_on_is_the_same_requests_until_it_ends() -> None:
    context = {"requestid": "request-1"}
    with correlation.continued(context, "handle", "consumer", event_id="E"):
        assert bound() == {"request_id": "request-1", "event_id": "E"}
        assert json.loads(correlation.dumped()) == context
    assert bound() == {}
    with correlation.continued(None, "handle", "consumer", order="A"):
        assert (bound(), correlation.current()) == ({"order": "A"}, {})


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"requestid": "request-1", "traceparent": TRACEPARENT}, True),
        ({"requestid": "request-1", "traceparent": TRACEPARENT, "other": "value"}, True),
        ({"requestid": 'x" injected', "traceparent": TRACEPARENT[:-1]}, False),
        ({"requestid": "request-1\n"}, False),
        ({"requestid": 12345678, "traceparent": None}, False),
        ({}, False),
    ],
)
def test_only_what_is_well_formed_is_taken_up(values: dict[str, object], expected: bool) -> None:
    known = {"requestid": "request-1", "traceparent": TRACEPARENT}
    assert correlation.read(values) == (known if expected else {})


def document(**extra: object) -> str:
    event = Event("E" * 26, "/matriz/things", "thing.changed", "one", "2026-11-21T12:00:00Z", 1, {})
    return json.dumps(event.document() | extra)


def test_an_event_carries_its_request_and_nothing_when_there_is_none() -> None:
    assert "requestid" not in json.loads(document())
    parsed = Event.parse(json.loads(document(requestid="request-1", traceparent="forged")))
    assert parsed.context == {"requestid": "request-1"}
    assert parsed.document()["requestid"] == "request-1"


def test_a_handler_works_on_behalf_of_the_request_that_its_event_comes_of() -> None:
    seen = []
    attempts = Attempts("tests", lambda event: seen.append(dict(bound())), lambda *_: None)
    attempts.take("1", document(requestid="request-1"), 0)
    attempts.take("2", document(), 0)
    ids = {"event_id": "E" * 26}
    assert seen == [ids | {"request_id": "request-1"}, ids]
    assert bound() == {}


@pytest.mark.parametrize("text", [document(), "no event"])
def test_what_becomes_of_an_event_is_counted(text: str) -> None:
    from prometheus_client import REGISTRY

    def counted() -> dict[str, float]:
        kind = "thing.changed" if text.startswith("{") else "none"
        outcomes = ("handled", "failed", "set aside")
        return {
            outcome: REGISTRY.get_sample_value(
                "feira_events_total", {"consumer": "counted", "type": kind, "outcome": outcome}
            )
            or 0.0
            for outcome in outcomes
        }

    def fail(event: Event) -> None:
        raise ValueError("poison")

    aside = []
    attempts = Attempts("counted", fail, lambda *letter: aside.append(letter))
    for tried in range(MOST_ATTEMPTS - 1):
        with pytest.raises(ValueError):
            attempts.take("1", text, tried)
    assert counted() == {"handled": 0.0, "failed": MOST_ATTEMPTS - 1, "set aside": 0.0}
    attempts.take("1", text, MOST_ATTEMPTS - 1)
    assert counted() == {"handled": 0.0, "failed": MOST_ATTEMPTS - 1, "set aside": 1.0}
    assert [letter[:2] for letter in aside] == [("1", text)]
