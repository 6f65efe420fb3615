"""The catalog's own functions on the running stack's database, without its processes between."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from catalog.ports import Ports
from catalog.settings import Settings
from chassis.clock import SystemClock
from chassis.db import Database
from chassis.http_client import ServiceClient
from local.stack import Stack


@pytest.fixture(scope="session")
def catalog_ports(stack: Stack) -> Iterator[Ports]:
    """Ports with enough connections that many calls are inside PostgreSQL at the same moment."""
    dsn, url = stack.dsn("catalog", "catalog"), stack.services.url("orders")
    settings = Settings(
        service_token=stack.secrets.service_token,
        event_bus_url=stack.redis_urls["redis-streams"],
        catalog_database_url=dsn,
        orders_url=url,
    )
    database = Database("catalog", dsn, pool_size=16, wait_seconds=5, application_name="race-tests")
    orders = ServiceClient("orders", url, pool_size=1, service_token=settings.service_token)
    yield Ports(settings, database, orders, SystemClock())
    database.dispose()
