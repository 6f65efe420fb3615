"""Ports for what a test starts, apart from those of the tests that run beside it."""

from __future__ import annotations

import os

from local.web import free_ports

WORKER = os.environ.get("PYTEST_XDIST_WORKER", "")


def own_ports() -> dict[str, int]:
    """A free port for every port setting, which no other process of pytest-xdist chooses."""
    if not WORKER:
        return free_ports()
    shares = int(os.environ["PYTEST_XDIST_WORKER_COUNT"])
    return free_ports(int(WORKER.removeprefix("gw")), shares)
