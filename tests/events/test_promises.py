"""Promise 15 on Redis Streams."""

from __future__ import annotations

import pytest

from tests.cart.rig import RedisServer
from tests.events import promises


@pytest.mark.promise(15, minutes=3)
@pytest.mark.timeout(1800)
def test_relays_killed_between_publishing_and_taking_note(dsn: str, redis: RedisServer) -> None:
    promises.killed_relays_have_no_double_effect(dsn, redis.url, "things")


@pytest.mark.promise(15, minutes=1)
@pytest.mark.timeout(600)
def test_poison_among_many(dsn: str, redis: RedisServer) -> None:
    promises.poison_among_many_is_parked_and_replayable(dsn, redis.url, "things")
