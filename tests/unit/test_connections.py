"""All processes together stay below what a PostgreSQL server takes, however they are scaled."""

from __future__ import annotations

import re
from importlib import import_module

import pytest
from sqlalchemy.engine import Engine

from chassis.db import Database
from local.settings import REPOSITORY

INSTANCES = 3
BACKGROUND = 1
WORKERS = 1
# Per database: `make audit`, a migration or a seeding, and a look by hand.
VISITORS = 4
# Patroni's own, and those that PostgreSQL keeps for superusers.
KEPT = 6


def most_of_a_process(service: str) -> int:
    """Connections that one process may hold; each of its pools may end up on one server."""
    fields = import_module(f"{service}.settings").Settings.model_fields
    database = Database(
        service,
        "postgresql://127.0.0.1:1,127.0.0.1:2/none",
        pool_size=fields[f"{service}_pool_size"].default,
        wait_seconds=1,
        application_name="test",
    )
    pools = [value.pool for value in vars(database).values() if isinstance(value, Engine)]
    assert {id(pool) for pool in pools} == {id(database.primary.pool), id(database.reader.pool)}
    assert all(pool._max_overflow == 0 for pool in pools)
    return sum(pool.size() for pool in pools)


def most_allowed() -> list[tuple[str, int]]:
    """`max_connections` wherever it is set."""
    places = [*(REPOSITORY / "local").glob("*.py"), *(REPOSITORY / "postgres").glob("*.template")]
    return [
        (path.name, int(number))
        for path in places
        for number in re.findall(r"max_connections\s*[=:]\s*'?(\d+)", path.read_text("utf-8"))
    ]


@pytest.mark.parametrize("services", [("catalog",), ("orders",), ("catalog", "orders")])
def test_three_instances_of_each_service_fit_on_one_server(services: tuple[str, ...]) -> None:
    # One server left, which carries the reads too; with both databases on it, as `make run` has it.
    processes = INSTANCES * WORKERS + BACKGROUND
    wanted = sum(processes * most_of_a_process(name) + VISITORS for name in services) + KEPT
    allowed = most_allowed()
    assert allowed
    assert all(wanted <= most for _, most in allowed), (wanted, allowed)
