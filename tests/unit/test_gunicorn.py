"""An instance is reachable when it can answer, and not before."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
from contextlib import closing, suppress
from importlib import import_module
from pathlib import Path

import psutil
import pytest

from local.settings import REPOSITORY
from local.web import free_ports
from tests.shop import wait_until
from tests.unit.test_docs import service

MICROSERVICES = REPOSITORY / "microservices"
SLOW = """
import time
from pathlib import Path
folder = Path(__file__).parent
def create_app():
    (folder / "loading").touch()
    while not (folder / "go").exists():
        time.sleep(0.01)
    def app(environment, start_response):
        start_response("200 OK", [("Content-Length", "2")])
        return [b"ok"]
    return app
"""


def open_port(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


def status(port: int) -> int:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        connection.request("GET", "/")
        return connection.getresponse().status


def test_the_port_is_shut_until_the_service_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "slow_service.py").write_text(SLOW)
    port = free_ports()["catalog_1_port"]
    environment = os.environ | {
        "PYTHONPATH": f"{MICROSERVICES}:{tmp_path}",
        "BIND": f"127.0.0.1:{port}",
    }
    configuration = str(MICROSERVICES / "gunicorn.conf.py")
    command = [sys.executable, "-m", "gunicorn", "-c", configuration, "slow_service:create_app()"]
    with subprocess.Popen(command, env=environment) as running:
        try:
            wait_until((tmp_path / "loading").exists)
            assert not open_port(port)
            (tmp_path / "go").touch()
            wait_until(lambda: open_port(port))
            assert status(port) == 200
        finally:
            running.terminate()
            running.wait(10)


@pytest.mark.parametrize("name", ["catalog", "cart", "orders"])
def test_loading_a_service_starts_nothing_that_a_fork_would_lose(name: str) -> None:
    import_module(f"{name}.app")
    before = threading.active_count(), connections()
    assert service(name)
    assert (threading.active_count(), connections()) == before


def connections() -> int:
    return len(psutil.Process().net_connections())
