"""What the README tells people to type works as it stands there."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import signal
import subprocess
import sysconfig
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest

from local.launch import belongings
from local.settings import PORTS, REPOSITORY
from local.stack import Stack
from local.web import free_ports
from tests.shop import Shop, wait_until

README = (REPOSITORY / "README.md").read_text("utf-8")
COMMANDS = re.findall(r"(?m)^\| `make ([a-z-]+)` \|", README)
ULID = r"[0-7][0-9A-HJKMNP-TV-Z]{25}"


def block_below(heading: str) -> str:
    """The first block of shell commands in a section of the README."""
    section = README.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    block = re.search(r"(?ms)^```sh\n(.*?)^```$", section)
    assert block, f"no commands under {heading!r}"
    return block[1]


def environment(**values: str) -> dict[str, str]:
    """That of a person who has just logged in."""
    return {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **values}


def make(folder: Path, *arguments: str, **values: str) -> subprocess.CompletedProcess[str]:
    """Run `make` and wait for its end."""
    return subprocess.run(
        ["make", "--no-print-directory", *arguments],
        cwd=folder,
        env=environment(**values),
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.skipif(not shutil.which("curl"), reason="curl is not here")
def test_a_purchase_with_curl_from_registration_to_order(stack: Stack, shop: Shop) -> None:
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", block_below("Buy something")],
        env=environment(BASE=stack.url, no_proxy="localhost"),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    said = re.search(rf"order ({ULID}), sent again: order ({ULID})\n", done.stdout)
    assert said, done.stdout
    assert said[1] == said[2]
    shown = shop.http.get(f"/api/orders/{said[1]}", headers=shop.operator.headers).json()
    assert shown["status"] == "confirmed"
    assert [item["quantity"] for item in shown["items"]] == [2]
    assert re.search(r'"step": "confirm",\s+"outcome": "succeeded"', done.stdout)


def test_help_lists_every_command_of_the_readme() -> None:
    listed = re.findall(r"(?m)^  ([a-z-]+)", make(REPOSITORY, "help").stdout)
    assert sorted(COMMANDS) == sorted(listed)


@pytest.mark.parametrize("command", COMMANDS)
def test_make_knows_how_to_do_what_the_readme_says(command: str) -> None:
    done = make(REPOSITORY, "--dry-run", command)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def clone(tmp_path: Path) -> Iterator[Path]:
    """A copy of the sources with an environment that has everything installed already."""
    folder = tmp_path / "feira"
    shutil.copytree(REPOSITORY, folder, ignore=shutil.ignore_patterns(".*"))
    lend_packages(folder / ".venv", folder / "requirements/local.txt")
    try:
        yield folder
    finally:
        make(folder, "stop")
    assert list(belongings(folder / ".feira")) == []
    shutil.rmtree(folder / ".feira", ignore_errors=True)


def lend_packages(target: Path, lock: Path) -> None:
    """An environment that sees this one's packages, marked as installed from the lock.

    Installing them again would take most of a minute and need a package index.
    """
    venv.create(target, symlinks=True)
    site = Path(sysconfig.get_path("purelib", vars={"base": str(target)}))
    site.joinpath("lent.pth").write_text(sysconfig.get_path("purelib") + "\n")
    digest = hashlib.sha256(lock.read_bytes()).hexdigest()
    (target / f".installed-{lock.stem}").write_text(digest)


def free_shift() -> int:
    """A PORT for which all other ports, which move with it, are free as well."""
    for port in free_ports().values():
        moved = {default + port - PORTS["port"] for default in PORTS.values()}
        if all(1024 < each < 32768 for each in moved) and not any(map(in_use, moved)):
            return port
    pytest.skip("no range of ports is free")


def in_use(port: int) -> bool:
    listening = Path("/proc/net/tcp").read_text("ascii").splitlines()[1:]
    return any(int(line.split()[1].partition(":")[2], 16) == port for line in listening)


@contextmanager
def running(folder: Path, port: int) -> Iterator[subprocess.Popen[str]]:
    """`make run`, from the moment when it says that the shop is open."""
    log = folder / "make-run.txt"
    with (
        log.open("w") as output,
        subprocess.Popen(
            ["make", "run", f"PORT={port}"],
            cwd=folder,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process,
    ):
        try:
            wait_until(lambda: "Open after" in log.read_text() or process.poll() is not None, 90)
            assert process.poll() is None, log.read_text()
            yield process
        finally:
            if process.poll() is None:
                press_ctrl_c(process)


def press_ctrl_c(process: subprocess.Popen[str]) -> None:
    """What a terminal does: everybody in the foreground gets the signal."""
    os.killpg(process.pid, signal.SIGINT)
    process.wait(60)


@pytest.mark.timeout(240)
def test_run_ctrl_c_run_again_and_stop_as_a_new_user_does(clone: Path) -> None:
    port = free_shift()
    home = clone / ".feira"
    product = f"http://localhost:{port}/api/products/1"

    # when it is started for the first time
    with running(clone, port) as process:
        printed = (clone / "make-run.txt").read_text()
        # then it prints where it is and who may log in, and serves
        for shown in (f"http://localhost:{port}/docs", "admin@feira.local", "cliente@feira.local"):
            assert shown in printed
        first = httpx.get(product, trust_env=False).json()
        register(port)
        # and Ctrl-C ends all of it
        press_ctrl_c(process)
    assert "Stopped: no process of this clone is left." in (clone / "make-run.txt").read_text()
    assert list(belongings(home)) == []

    # when it is started again
    with running(clone, port) as process:
        # then the data is still there
        assert httpx.get(product, trust_env=False).json() == first
        assert register(port).json()["type"] == "/problems/already-registered"
        # and status, audit and stop do what the table says
        status = make(clone, "status")
        assert (status.returncode, status.stdout.count("RUNNING")) == (0, 15)
        assert "primary" in status.stdout
        assert f"http://localhost:{port}/health: 200" in status.stdout
        audit = make(clone, "audit")
        assert (audit.returncode, audit.stdout.splitlines()[-1]) == (0, "audit: all hold")
        stop = make(clone, "stop")
        assert stop.returncode == 0, stop.stdout + stop.stderr
        assert process.wait(60) == 0
    assert list(belongings(home)) == []
    assert make(clone, "status").stdout.strip() == "Feira is not running in this clone."


def register(port: int) -> httpx.Response:
    """Register the same person, each time."""
    body = {"email": "ana@example.com", "password": "uma-senha-bem-comprida", "name": "Ana"}
    return httpx.post(f"http://localhost:{port}/auth/register", json=body, trust_env=False)
