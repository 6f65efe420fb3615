"""What `make race` shows and writes, and when it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from local.settings import REPOSITORY

TESTS = """
import pytest
from tests.figures import figure

@pytest.mark.promise(1, minutes=3)
def test_one():
    figure("promise 1", "100 of 100")

@pytest.mark.promise(2)
def test_two():
    figure("promise 2", "1 of 2")
    assert {holds}

@pytest.mark.promise(3)
def test_three():
    pass

def test_the_books_hold_after_everything():
    figure("make audit", "all hold")

def test_last_in_the_file():
    pass
"""


def prove(folder: Path, *options: str, holds: bool = True) -> subprocess.CompletedProcess[str]:
    path = folder / "test_it.py"
    path.write_text(TESTS.format(holds=holds), "utf-8")
    command = [sys.executable, "-m", "pytest", "-p", "tests.proof", "--noconftest", str(path)]
    command += [f"-pno:{slow_to_load}" for slow_to_load in ("schemathesis", "anyio")]
    return subprocess.run(
        [*command, "--reports", str(folder / "reports"), *options],
        cwd=REPOSITORY,
        check=False,
        capture_output=True,
        text=True,
    )


def report(folder: Path) -> list[tuple[str, str, list[str]]]:
    (path,) = (folder / "reports").glob("race-*.json")
    results = json.loads(path.read_text("utf-8"))["results"]
    return [(each["test"].partition("::")[2], each["outcome"], each["figures"]) for each in results]


def test_a_promise_that_does_not_hold_ends_with_1(tmp_path: Path) -> None:
    done = prove(tmp_path, holds=False)

    assert done.returncode == 1, done.stdout
    assert "| 2 | failed | 0 | promise 2: 1 of 2 |" in done.stdout
    assert "assert False" in done.stdout
    assert report(tmp_path) == [
        ("test_one", "passed", ["promise 1: 100 of 100"]),
        ("test_two", "failed", ["promise 2: 1 of 2"]),
        ("test_three", "passed", []),
        ("test_last_in_the_file", "passed", []),
        ("test_the_books_hold_after_everything", "passed", ["make audit: all hold"]),
    ]


def test_chosen_promises_run_alone_before_the_audit(tmp_path: Path) -> None:
    done = prove(tmp_path, "--promises", "3,1")

    assert done.returncode == 0, done.stdout
    names = [name for name, outcome, _ in report(tmp_path) if outcome == "passed"]
    assert names == ["test_one", "test_three", "test_the_books_hold_after_everything"]


def test_a_promise_that_no_test_proves_is_named(tmp_path: Path) -> None:
    done = prove(tmp_path, "--promises", "99")

    assert done.returncode == 4
    assert "no test proves [99]; there are [1, 2, 3]" in done.stderr
    assert "Traceback" not in done.stderr
