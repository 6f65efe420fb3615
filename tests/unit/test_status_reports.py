"""What /status tells again instead of counting it anew."""

from __future__ import annotations

import pytest

from chassis import health


class Moment:
    """A clock that stands until it is moved."""

    now = 100.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def moment(monkeypatch: pytest.MonkeyPatch) -> Moment:
    moment = Moment()
    monkeypatch.setattr(health, "time", moment)
    return moment


def test_what_took_long_is_told_again_for_twenty_times_as_long(moment: Moment) -> None:
    made = 0

    def report() -> int:
        nonlocal made
        made += 1
        moment.now += 0.5
        return made

    told = health.sparing(report)
    assert told() == 1
    moment.now += 9.9
    assert told() == 1
    moment.now += 0.2
    assert told() == 2


def test_what_failed_is_asked_again_at_once(moment: Moment) -> None:
    answers = iter([TimeoutError("away"), 7])

    def report() -> int:
        moment.now += 0.5
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    told = health.sparing(report)
    with pytest.raises(TimeoutError):
        told()
    assert told() == 7
