"""How Docker is run: a program that stands in for it says nothing, fails, or hangs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from loadtests.drills.compose_rig import url_of
from local import compose, compose_engine, compose_secrets
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
    """None of them, or only until its new parent asks for its exit status."""
    return not any(map(lives, pids.read_text().split()))


def lives(pid: str) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""  # a zombie has none
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_short_command_is_ended_with_all_it_started(pids: Path) -> None:
    began = time.monotonic()
    with pytest.raises(StackError, match=r"`docker volume ls` did not answer for 0 s"):
        compose_engine.output("docker", "volume", "ls", seconds=0.4)
    assert time.monotonic() - began < 10
    wait_until(lambda: none_lives(pids))


def test_a_health_check_that_hangs_has_failed(pids: Path) -> None:
    assert not compose_engine.succeeds("docker", "exec", "cart", "healthcheck")
    wait_until(lambda: none_lives(pids))
    assert compose_engine.succeeds("true")
    assert not compose_engine.succeeds("false")


def test_a_copy_that_stands_still_is_ended(pids: Path, tmp_path: Path) -> None:
    began = time.monotonic()
    with pytest.raises(StackError, match=r"`docker compose run base-backup` did not answer"):
        compose_engine.stream_out(tmp_path / "copy", lambda _: None, "run", "base-backup")
    assert time.monotonic() - began < 10
    assert (tmp_path / "copy").read_text() == "begun\n"
    wait_until(lambda: none_lives(pids))


# A shell that puts the tests in the background has them, and what they start, ignore a Ctrl-C.
RUN = """
import signal
from local import compose_engine
signal.signal(signal.SIGINT, signal.default_int_handler)
compose_engine.output("docker", "ps", seconds=600)
"""
# Whoever started Docker is still in Popen when Docker is at work.
SLOW = """
import subprocess, time
class Slow(subprocess.Popen):
    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        busy_until = time.monotonic() + 0.5
        while time.monotonic() < busy_until: pass
subprocess.Popen = Slow
"""


@pytest.mark.parametrize("before", ["", SLOW], ids=["at-work", "at-its-start"])
def test_ctrl_c_ends_what_was_started(pids: Path, before: str) -> None:
    script = f"{before}{RUN}"
    with subprocess.Popen([sys.executable, "-c", script], stderr=subprocess.DEVNULL) as running:
        wait_until(lambda: pids.exists() and len(pids.read_text().split()) == 2)
        running.send_signal(signal.SIGINT)
        wait_until(lambda: running.poll() is not None)
        assert running.returncode == -signal.SIGINT
    wait_until(lambda: none_lives(pids))


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A complete .env, and no Docker that could be asked for anything but volumes."""
    file = tmp_path / ".env"
    file.write_text(compose_secrets.completed(""))
    monkeypatch.setattr(compose_engine, "ENVIRONMENT", file)
    monkeypatch.setattr(compose_engine, "existing_volumes", lambda *_: ["feira_catalog-db-1"])
    return file


def without(file: Path, name: str) -> str:
    """Empty a secret; what is left in the file."""
    lines = file.read_text().splitlines(keepends=True)
    lines = [f"{name}=\n" if line.startswith(f"{name}=") else line for line in lines]
    file.write_text("".join(lines))
    return file.read_text()


@pytest.mark.parametrize("name", sorted(compose_secrets.OF_ROLES))
def test_a_password_that_the_databases_have_is_not_made_up_again(
    environment: Path, name: str
) -> None:
    left = without(environment, name)
    with pytest.raises(StackError, match=f"{name} in .* put it back, or choose another as Secrets"):
        compose_engine.ensure_secrets()
    assert environment.read_text() == left
    assert [path.name for path in environment.parent.glob(".env*")] == [".env"]


def test_it_is_made_up_where_there_is_no_data(
    environment: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without(environment, "CATALOG_PASSWORD")
    monkeypatch.setattr(compose_engine, "existing_volumes", lambda *_: [])
    compose_engine.ensure_secrets()
    assert compose_secrets.missing(environment.read_text()) == []


def test_a_secret_that_no_data_has_is_made_up_again(environment: Path) -> None:
    without(environment, "SERVICE_TOKEN")
    compose_engine.ensure_secrets()
    assert compose_secrets.missing(environment.read_text()) == []


@pytest.mark.parametrize("command", [["down"], ["audit"], ["backup", "/nowhere"]])
@pytest.mark.parametrize("hole", [None, "AUDITOR_PASSWORD"])
def test_what_needs_the_secrets_says_which_is_missing(
    environment: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: list[str],
    hole: str | None,
) -> None:
    def never(*_: str, **__: float) -> int:
        raise AssertionError("Docker is asked")

    monkeypatch.setattr(compose_engine, "run", never)
    if hole:
        without(environment, hole)
    else:
        environment.unlink()
    assert compose.main(command) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1
    assert f"{hole} in {environment} is missing" in said if hole else "is missing" in said


@pytest.mark.parametrize(
    ("published", "url"),
    [
        ("0.0.0.0:8080", "http://127.0.0.1:8080"),
        ("127.0.0.1:9080", "http://127.0.0.1:9080"),
        ("192.0.2.7:8080", "http://192.0.2.7:8080"),
        ("[::]:8080", "http://[::1]:8080"),
        ("2001:db8::7:8080", "http://[2001:db8::7]:8080"),
    ],
)
def test_drills_go_where_the_gateway_listens(published: str, url: str) -> None:
    assert url_of(published) == url
