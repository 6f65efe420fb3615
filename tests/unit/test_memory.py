"""What a process does not need it does not load: the idle stack has a bound on its memory."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from local.services import MICROSERVICES

SETTINGS = {
    "ORDERS_DATABASE_URL": "postgresql://orders@localhost/orders",
    "CATALOG_URL": "http://localhost:5001",
    "CART_URL": "http://localhost:5002",
    "EVENT_BUS_URL": "redis://localhost:6379/0",
    "SERVICE_TOKEN": "x" * 32,
    "JWT_PRIVATE_KEY": "A" * 43,
}

# structlog and redis would load them by themselves, if nobody kept them from it.
NOWHERE = {"rich", "greenlet", "opentelemetry"}


@pytest.mark.parametrize(
    ("module", "unneeded"),
    [
        ("cart.app", {"sqlalchemy", "psycopg2", "alembic", "celery", "jwt", *NOWHERE}),
        ("catalog.app", {"alembic", "celery", "jwt", *NOWHERE}),
        ("orders.app", {"alembic", "celery", "jwt", *NOWHERE}),
        # Celery asks for greenlet itself.
        ("orders.worker", {"alembic", "jwt", *NOWHERE} - {"greenlet"}),
    ],
)
def test_a_process_does_not_load_what_it_may_never_need(module: str, unneeded: set[str]) -> None:
    script = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", script],
        env=os.environ | SETTINGS | {"PYTHONPATH": str(MICROSERVICES)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert unneeded & set(done.stdout.split()) == set()
