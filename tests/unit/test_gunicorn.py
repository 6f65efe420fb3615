"""An instance is reachable when it can answer, and not before."""

from __future__ import annotations

import http.client
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
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


@contextmanager
def gunicorn(module: str, port: int, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """An app of a module in this folder, run as the services are."""
    environment = os.environ | {
        "PYTHONPATH": f"{MICROSERVICES}:{folder}",
        "BIND": f"127.0.0.1:{port}",
    }
    configuration = str(MICROSERVICES / "gunicorn.conf.py")
    command = [sys.executable, "-m", "gunicorn", "-c", configuration, f"{module}:create_app()"]
    with subprocess.Popen(command, env=environment) as running:
        try:
            yield running
        finally:
            running.terminate()
            running.wait(10)


def test_the_port_is_shut_until_the_service_is_loaded(tmp_path: Path) -> None:
    (tmp_path / "slow_service.py").write_text(SLOW)
    port = free_ports()["catalog_1_port"]
    with gunicorn("slow_service", port, tmp_path):
        wait_until((tmp_path / "loading").exists)
        assert not open_port(port)
        (tmp_path / "go").touch()
        wait_until(lambda: open_port(port))
        assert status(port) == 200


@pytest.mark.parametrize("name", ["catalog", "cart", "orders"])
def test_loading_a_service_starts_nothing_that_a_fork_would_lose(name: str) -> None:
    import_module(f"{name}.app")
    before = threading.active_count(), connections()
    assert service(name)
    assert (threading.active_count(), connections()) == before


def connections() -> int:
    return len(psutil.Process().net_connections())


BUSY = """
def app(environment, start_response):
    sum(range(20_000))
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
def create_app():
    return app
"""


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="this machine has one core")
def test_all_threads_of_a_busy_worker_share_a_core(tmp_path: Path) -> None:
    (tmp_path / "busy_service.py").write_text(BUSY)
    port = free_ports()["catalog_1_port"]
    with gunicorn("busy_service", port, tmp_path) as running:
        wait_until(lambda: open_port(port))
        (worker,) = wait_until(psutil.Process(running.pid).children)

        def keeps_to_one() -> bool:
            found = {frozenset(os.sched_getaffinity(thread.id)) for thread in worker.threads()}
            return len(found) == 1 and len(found.pop()) == 1

        stop = threading.Event()

        def ask() -> None:
            while not stop.is_set():
                assert status(port) == 200

        askers = [threading.Thread(target=ask) for _ in range(3)]
        for asker in askers:
            asker.start()
        try:
            wait_until(keeps_to_one)
        finally:
            stop.set()
            for asker in askers:
                asker.join(10)
