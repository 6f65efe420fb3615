"""What orders asks of a catalog that is not well: never too much, and nothing is mistaken."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from chassis import deadline
from chassis.breaker import LeftAlone
from chassis.http_client import Answer, NoAnswer, NotNow, OutcomeUnknown, Unreachable
from orders.holds import Holds
from orders.settings import Settings
from tests.contract.services import DATABASE, NOWHERE, REDIS

DONE = Answer(204, None, {})


class Catalog:
    """A client whose calls end one after the other as the test says; the last one repeats."""

    name = "catalog"

    def __init__(self, ends: Sequence[Answer | Exception]) -> None:
        self.ends = list(ends)
        self.seconds: list[float] = []

    def call(self, method: str, path: str, *, seconds: float, **_: Any) -> Answer:
        self.seconds.append(min(seconds, deadline.remaining()))
        end = self.ends.pop(0) if len(self.ends) > 1 else self.ends[0]
        if isinstance(end, Exception):
            raise end
        return end


Holding = Callable[..., tuple[Holds, Catalog]]


@pytest.fixture
def holding() -> Holding:
    def make(*ends: Answer | Exception) -> tuple[Holds, Catalog]:
        settings = Settings(
            service_token="t" * 32,
            event_bus_url=REDIS,
            orders_database_url=DATABASE,
            catalog_url=NOWHERE,
            cart_url=NOWHERE,
            jwt_private_key="A" * 43,
        )
        catalog = Catalog(ends)
        return Holds(settings, catalog), catalog  # type: ignore[arg-type]

    return make


def test_a_catalog_that_waits_for_its_database_is_asked_again(holding: Holding) -> None:
    holds, catalog = holding(NotNow(""), NotNow(""), DONE)
    with deadline.within(8):
        assert holds.release("order") == DONE
    assert len(catalog.seconds) == 3 and max(catalog.seconds) <= 1.6


def test_it_is_asked_as_long_as_there_is_time_to_write_down_the_outcome(holding: Holding) -> None:
    holds, catalog = holding(NotNow(""))
    with deadline.within(1.0), pytest.raises(NotNow):
        holds.release("order")
        assert deadline.remaining() > 0.4
    assert len(catalog.seconds) > 1 and holds.breaker.state == "closed"


def test_what_was_sent_once_is_unknown_whatever_comes_after(holding: Holding) -> None:
    holds, _ = holding(NotNow(""), Unreachable(""))
    with deadline.within(8), pytest.raises(OutcomeUnknown):
        holds.release("order")


@pytest.mark.parametrize("end", [NoAnswer(""), Unreachable("")])
def test_silence_is_not_asked_again_and_then_left_alone(holding: Holding, end: Exception) -> None:
    holds, catalog = holding(end)
    for _ in range(5):
        with pytest.raises(type(end)):
            holds.release("order")
    with pytest.raises(LeftAlone):
        holds.release("order")
    assert len(catalog.seconds) == 5
