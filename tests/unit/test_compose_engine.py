"""How Docker is run: a program that stands in for it says nothing, fails, or hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from local import compose_engine
from local.errors import StackError
from tests.shop import wait_until

# As the real one, it has a child that does the work: that has to end as well.
HANGS = 'echo begun; printf "$$ " >>"$PIDS"; sleep 600 & printf "$! " >>"$PIDS"; wait'


@pytest.fixture
def pids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A `docker` that hangs; the file in which it writes who hangs."""
    program = tmp_path / "bin" / "docker"
    program.parent.mkdir()
    program.write_text(f"#!/bin/sh\n{HANGS}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("PIDS", str(tmp_path / "pids"))
    for name in ("_SHORT_SECONDS", "_SILENT_SECONDS", "_END_SECONDS"):
        monkeypatch.setattr(compose_engine, name, 0.5)
    return tmp_path / "pids"


def none_lives(pids: Path) -> bool:
    return not any(Path(f"/proc/{pid}/cmdline").exists() for pid in pids.read_text().split())


def test_a_short_command_is_ended_with_all_it_started(pids: Path) -> None:
    began = time.monotonic()
    with pytest.raises(StackError, match=r"`docker volume ls` did not answer for 0 s"):
        compose_engine.output("docker", "volume", "ls", seconds=0.4)
    assert time.monotonic() - began < 10
    wait_until(lambda: none_lives(pids))


def test_a_copy_that_stands_still_is_ended(pids: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(StackError, match=r"`docker compose run base-backup` did not answer"):
        compose_engine.stream_out(tmp_path / "copy", lambda _: None, "run", "base-backup")
    assert time.monotonic() - began < 10
    assert (tmp_path / "copy").read_text() == "begun\n"
    wait_until(lambda: none_lives(pids))


def test_ctrl_c_ends_what_was_started(pids: Path) -> None:
    script = "from local import compose_engine as e; e.output('docker', 'ps', seconds=600)"
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL) as running:
        wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
        running.send_signal(signal.SIGINT)
        assert running.wait(10) != 0
    wait_until(lambda: none_lives(pids))
