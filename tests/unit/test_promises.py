"""docs/testing.md names the tests of every promise that a test is marked with."""

from __future__ import annotations

import ast
import re
from pathlib import Path

from local.settings import REPOSITORY

TESTS = REPOSITORY / "tests"
PAGE = (REPOSITORY / "docs/testing.md").read_text("utf-8")


def marked() -> dict[int, set[str]]:
    """The files with tests of each promise."""
    found: dict[int, set[str]] = {}
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(attr="promise"), args=[ast.Constant(value=int(number))]
                ):
                    found.setdefault(number, set()).add(path.relative_to(TESTS).as_posix())
    return found


def listed() -> dict[int, set[str]]:
    """The files that the page names for each promise."""
    found: dict[int, set[str]] = {}
    for numbers, row in re.findall(
        r"(?m)^\| (\d+(?:, \d+)*) \|(.*)$", PAGE.partition("\n## The controls")[0]
    ):
        files = set(re.findall(r"\]\(\.\./tests/([^)]+)\)", row))
        for number in numbers.split(", "):
            assert int(number) not in found, f"promise {number} is listed twice"
            found[int(number)] = files
    return found


def test_every_test_of_a_promise_is_on_its_line() -> None:
    there = listed()
    missing = {n: files - there.get(n, set()) for n, files in marked().items()}
    assert {number: files for number, files in missing.items() if files} == {}


def test_every_promise_on_the_page_has_a_test_that_is_marked_with_it() -> None:
    assert listed().keys() == marked().keys()


def test_every_test_that_the_page_names_exists() -> None:
    named = [Path(name) for name in re.findall(r"\]\(\.\./(tests/[^)]+)\)", PAGE)]
    assert named and [name for name in named if not (REPOSITORY / name).is_file()] == []
