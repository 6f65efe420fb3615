"""A background process tells from outside whether its loops turn."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.settings import REPOSITORY
from tests.shop import wait_until

CHECK = [sys.executable, "-IS", str(REPOSITORY / "microservices" / "healthcheck.py")]
# Two loops; one hangs, or fails, when there is a file of that name.
LOOPS = """
import sys, time
from pathlib import Path
from chassis import background
background.PATIENCE_SECONDS, background.BEAT_SECONDS = 1.0, 0.05
folder = Path(sys.argv[1])
def cycle():
    if (folder / "fails").exists():
        raise RuntimeError("as planned")
    while (folder / "hangs").exists():
        time.sleep(0.01)
    return False
loops = [background.Loop("a", cycle, 0.05), background.Loop("b", lambda: False, 0.05)]
background.run(loops, heartbeat=folder / "heartbeat")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """The folder of a background process that runs."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY / "microservices")}
    command = [sys.executable, "-c", LOOPS, str(tmp_path)]
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as running:
        yield tmp_path
        (tmp_path / "hangs").unlink(missing_ok=True)
        running.terminate()
        assert running.wait(10) == 0


def beats(folder: Path) -> bool:
    """Whether the heartbeat is touched again."""
    file = folder / "heartbeat"
    before = file.stat().st_mtime_ns if file.exists() else 0
    limit = time.monotonic() + 1.5
    while time.monotonic() < limit:
        if file.exists() and file.stat().st_mtime_ns > before:
            return True
        time.sleep(0.02)
    return False


def test_it_beats_until_a_loop_hangs(folder: Path) -> None:
    wait_until((folder / "heartbeat").exists)
    assert beats(folder)
    (folder / "hangs").touch()
    wait_until(lambda: not beats(folder), 30)
    (folder / "hangs").unlink()
    assert beats(folder)


def test_a_loop_that_only_fails_does_not_turn(folder: Path) -> None:
    wait_until((folder / "heartbeat").exists)
    (folder / "fails").touch()
    wait_until(lambda: not beats(folder), 30)


def check(file: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*CHECK, str(file)], capture_output=True, text=True, check=False)


def test_the_health_check_wants_a_young_heartbeat(tmp_path: Path) -> None:
    file = tmp_path / "heartbeat"
    missing = check(file)
    assert (missing.returncode, "yet" in missing.stderr) == (1, True)
    file.touch()
    assert check(file).returncode == 0
    os.utime(file, (time.time() - 30,) * 2)
    old = check(file)
    assert (old.returncode, "stuck" in old.stderr) == (1, True)
