"""What is left of a killed postmaster must not keep the next one from starting."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from local.settings import REPOSITORY

PROGRAM = REPOSITORY / "postgres" / "postgres-alone"


@pytest.fixture
def child(tmp_path: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process named as PostgreSQL's are, in the data folder."""
    (tmp_path / "data").mkdir()
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "postgres"
    shutil.copy(shutil.which("sleep") or "", program)
    with subprocess.Popen([program, "600"], cwd=tmp_path / "data") as running:
        yield running
        running.kill()


def run(folder: Path, owner: int) -> None:
    """Start PostgreSQL in the folder, where that process is said to have been its postmaster."""
    (folder / "data" / "postmaster.pid").write_text(f"{owner}\nmore\n")
    command = [PROGRAM, "--version", "-D", folder / "data"]
    environment = {"PATH": f"{folder / 'bin'}:/usr/bin:/bin"}
    # The one of the fixture is no PostgreSQL; it complains of its options.
    subprocess.run(command, env=environment, capture_output=True, check=False, timeout=20)


def test_what_a_killed_postmaster_left_is_ended(
    tmp_path: Path, child: subprocess.Popen[bytes]
) -> None:
    run(tmp_path, owner=2**22 + 1)
    assert child.wait(5) == -9


def test_a_postmaster_that_lives_keeps_its_children(
    tmp_path: Path, child: subprocess.Popen[bytes]
) -> None:
    run(tmp_path, owner=child.pid)
    assert child.poll() is None


def test_the_processes_of_another_folder_are_none_of_its_business(
    tmp_path: Path, child: subprocess.Popen[bytes]
) -> None:
    (tmp_path / "other" / "data").mkdir(parents=True)
    (tmp_path / "other" / "bin").symlink_to(tmp_path / "bin")
    run(tmp_path / "other", owner=2**22 + 1)
    assert child.poll() is None
