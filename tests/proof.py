"""`make race`: progress while the tests of the promises run, their figures, and a report.

A plugin of pytest (`-p tests.proof`), so that what is proved at full counts is what `make test`
runs every day with small ones.
"""

from __future__ import annotations

import json
import os
import platform
import re
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from tests import figures

REPOSITORY = Path(__file__).parent.parent
# Runs whatever promises are chosen, after everything else.
LAST = "test_the_books_hold_after_everything"
# What a test without a figure of its own takes, on two cores.
USUAL_MINUTES = 0.2


@dataclass
class Result:
    """What became of one test."""

    test: str
    promises: list[int]
    outcome: str = "not run"
    seconds: float = 0.0
    figures: list[str] = field(default_factory=list)


def promises_of(item: pytest.Item) -> list[int]:
    """The promises that a test is marked with."""
    return sorted(int(mark.args[0]) for mark in item.iter_markers("promise"))


def minutes_of(item: pytest.Item) -> float:
    """What it takes at full counts, as its mark says."""
    given = [mark.kwargs["minutes"] for mark in item.iter_markers("promise") if mark.kwargs]
    return max(given, default=USUAL_MINUTES)


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--promises 1,7` and `--reports FOLDER`."""
    text = "only the tests of these promises, and the audit"
    parser.addoption("--promises", default="", metavar="1,7", help=text)
    text = "where the report is written"
    parser.addoption("--reports", default=REPOSITORY / "reports", type=Path, help=text)


def pytest_configure(config: pytest.Config) -> None:
    """Take over the screen; what fails is still told by pytest at the end."""
    config.option.verbose = -1
    chosen = config.getoption("--promises")
    if not re.fullmatch(r"(\d+(,\d+)*)?", chosen):
        raise pytest.UsageError(f"--promises: {chosen!r} is not like 1,7")
    promises = {int(number) for number in chosen.split(",") if number}
    config.pluginmanager.register(Proof(promises, config.getoption("--reports")), "proof")


class Proof:
    """One run: which tests, how far it is, what was counted."""

    def __init__(self, chosen: set[int], reports: Path) -> None:
        self.chosen = chosen
        self.reports = reports
        self.results: dict[str, Result] = {}
        self.began = datetime.now(UTC)
        self.start = time.monotonic()
        # What a test prints is captured; this goes past it.
        self.console = Console(file=os.fdopen(os.dup(1), "w"), highlight=False, soft_wrap=True)
        columns = BarColumn(), TextColumn("{task.percentage:3.0f} %"), TimeElapsedColumn()
        text = TextColumn("{task.description}")
        self.bar = Progress(*columns, text, console=self.console, transient=True)
        self.task = self.bar.add_task("", total=None)
        self.done = self.minutes = 0.0
        self.running = ""
        self.broken = False

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(
        self, config: pytest.Config, items: list[pytest.Item]
    ) -> None:
        """Leave out what was not asked for, and check the books at the end."""
        known = {number for item in items for number in promises_of(item)}
        if unknown := self.chosen - known:
            raise pytest.UsageError(f"no test proves {sorted(unknown)}; there are {sorted(known)}")
        last = [item for item in items if item.name == LAST]
        others = [item for item in items if item not in last]
        kept = [i for i in others if not self.chosen or self.chosen & set(promises_of(i))]
        config.hook.pytest_deselected(items=[item for item in others if item not in kept])
        items[:] = kept + last
        self.results = {i.nodeid: Result(i.nodeid, promises_of(i)) for i in items}
        self.minutes = sum(map(minutes_of, items))
        self.bar.update(self.task, total=self.minutes)

    def pytest_runtestloop(self, session: pytest.Session) -> None:
        """Say what is coming."""
        if session.config.option.collectonly:
            return
        size = "full counts" if os.environ.get("FEIRA_FULL") == "1" else "small counts"
        self.console.print(
            f"{len(self.results)} tests with {size}; at full counts about"
            f" {max(1, round(self.minutes))} minutes on two cores of its own"
        )
        figures.listeners.append(self)
        self.bar.start()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_protocol(self, item: pytest.Item) -> Iterator[None]:
        """Show which test runs."""
        self.running, before, minutes = item.nodeid, self.done, minutes_of(item)
        self.bar.update(self.task, description=item.name.removeprefix("test_").replace("_", " "))
        self.share = minutes
        result = yield
        self.done = before + minutes
        if self.broken:
            item.session.shouldstop = "what the tests stand on could not be made"
        self.bar.update(self.task, completed=self.done)
        return result

    def figure(self, promise: str, text: str) -> None:
        """A figure of the test that runs."""
        self.results[self.running].figures.append(f"{promise}: {text}")
        self.console.print(f"  [bold]{escape(promise)}[/]: {escape(text)}")

    def reached(self, part: float) -> None:
        """How much of the test that runs is done."""
        self.bar.update(self.task, completed=self.done + part * self.share)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Remember the outcome; the worst of its phases counts."""
        result = self.results[report.nodeid]
        result.seconds += report.duration
        if report.when == "call" or report.outcome != "passed":
            result.outcome = report.outcome
        if report.when == "setup" and report.failed:
            self.broken = True
        if report.when == "teardown":
            text = re.sub(r".*::test_", "", report.nodeid).replace("_", " ")
            colour = "green" if result.outcome == "passed" else "red"
            self.console.print(
                f"[{colour}]{result.outcome}[/] {text} [dim]({result.seconds:.0f} s)[/]"
            )

    @pytest.hookimpl(tryfirst=True)
    def pytest_report_teststatus(self, report: pytest.TestReport) -> tuple[str, str, str] | None:
        """No dots: the lines above tell more."""
        shown = report.when == "call" or report.outcome == "failed"
        return (report.outcome if shown else "", "", "")

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """Show the figures of every promise and write the report."""
        self.bar.stop()
        if self not in figures.listeners:
            return
        figures.listeners.remove(self)
        path = self._write(self._report())
        self.console.print(f"\n{_table(self.results.values())}\nreport: {path}")

    def _report(self) -> dict[str, Any]:
        return {
            "began": self.began.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - self.start),
            "full": os.environ.get("FEIRA_FULL") == "1",
            "cores": os.cpu_count(),
            "load_average": [round(each, 1) for each in os.getloadavg()],
            "python": platform.python_version(),
            "results": [asdict(result) for result in self.results.values()],
        }

    def _write(self, report: dict[str, Any]) -> Path:
        self.reports.mkdir(exist_ok=True)
        path = self.reports / f"race-{self.began:%Y%m%d-%H%M%S}.md"
        path.with_suffix(".json").write_text(json.dumps(report, indent=1), "utf-8")
        head = {name: value for name, value in report.items() if name != "results"}
        lines = [f"- {name}: {value}" for name, value in head.items()]
        text = "\n".join(["# The promises, proved", "", *lines, "", ""])
        path.write_text(text + _table(self.results.values()) + "\n", "utf-8")
        return path


def _table(results: Any) -> str:
    rows = ["| promise | outcome | s | figures |", "|---|---|---|---|"]
    for result in sorted(results, key=lambda each: each.promises or [999]):
        numbers = ", ".join(map(str, result.promises)) or "-"
        told = "<br>".join(result.figures) or re.sub(r".*::test_", "", result.test)
        rows.append(f"| {numbers} | {result.outcome} | {result.seconds:.0f} | {told} |")
    return "\n".join(rows)
