"""A small PostgreSQL for all tests of branches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.branches.rig import Country, country
from tests.postgres_server import PostgresServer


@pytest.fixture(scope="session", autouse=True)
def brief_waits() -> Iterator[None]:
    """Relays that have nothing to do look up soon: the tests wait for it in between."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("chassis.replication.relay.POLL_SECONDS", 0.05)
        patch.setattr("chassis.outbox.CHECK_SECONDS", 0.5)
        yield


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    # The path of a Unix socket has 107 characters at most.
    with TemporaryDirectory(prefix="feira-") as sockets:
        server = PostgresServer(tmp_path_factory.mktemp("branches"), sockets=Path(sockets))
        yield server
        server.stop()


@pytest.fixture
def three(postgres: PostgresServer) -> Iterator[Country]:
    with country(postgres, "matriz", "filial", "litoral") as found:
        yield found
