"""An instance opens its port when it can answer, and not before."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from local.services import MICROSERVICES
from local.web import free_ports
from tests.shop import wait_until

LOADS_SECONDS = 1.5
SLOW = f"""
import pathlib, time
pathlib.Path("loading").touch()
time.sleep({LOADS_SECONDS})

def app(environ, start_response):
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""


@pytest.fixture
def address(tmp_path: Path) -> tuple[str, int]:
    (tmp_path / "slow.py").write_text(SLOW)
    return "127.0.0.1", free_ports()["port"]


@pytest.fixture
def instance(tmp_path: Path, address: tuple[str, int]) -> Iterator[subprocess.Popen[bytes]]:
    configuration = str(MICROSERVICES / "gunicorn.conf.py")
    process = subprocess.Popen(
        [sys.executable, "-m", "gunicorn", "-c", configuration, "slow:app"],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(MICROSERVICES), "BIND": f"127.0.0.1:{address[1]}"},
    )
    wait_until((tmp_path / "loading").exists)
    yield process
    process.kill()
    process.wait()


def test_nobody_is_let_in_who_would_have_to_wait(
    instance: subprocess.Popen[bytes], address: tuple[str, int]
) -> None:
    def open_by_now() -> bool:
        with socket.socket() as connection:
            return connection.connect_ex(address) == 0

    wait_until(open_by_now)
    began = time.monotonic()
    answer = httpx.get(f"http://127.0.0.1:{address[1]}/", timeout=10, trust_env=False)
    assert answer.text == "ok"
    assert time.monotonic() - began < LOADS_SECONDS / 2


def test_an_instance_that_still_loads_can_be_stopped(instance: subprocess.Popen[bytes]) -> None:
    instance.send_signal(signal.SIGTERM)
    assert instance.wait(LOADS_SECONDS) == 0
