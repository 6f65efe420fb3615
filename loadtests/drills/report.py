"""The report of a session of drills: a table on the terminal, JSON, and a page of HTML."""

from __future__ import annotations

import dataclasses
import json
import platform
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
from rich.console import Console
from rich.table import Table

from loadtests.drills.figures import spread
from loadtests.drills.kinds import KINDS, Kind
from loadtests.drills.verdict import Result

_TEMPLATE = Path(__file__).with_name("report.html.jinja")
# A terminal that is narrower gets a table for each kind.
_WIDTH = 170
HEADINGS = (
    "drill",
    "n",
    "detection",
    "failover",
    "down",
    "requests lost",
    "writes lost",
    "duplicates",
    "oversold",
    "writes after promotion",
    "promise",
    "result",
)


@dataclass
class Session:
    """All drills that were done in one go.

    Attributes:
        rig: where: "compose" or "embedded".
        rate: purchases a second that were asked for.
        skipped: kind to why it could not be done.
    """

    rig: str
    rate: float
    full: bool
    began: datetime = field(default_factory=lambda: datetime.now(UTC))
    results: list[Result] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    # Why it ended early, if it did.
    broken_off: str = ""

    @property
    def passed(self) -> bool:
        """Whether something was broken, and all of it passed."""
        every = all(each.passed for each in self.results)
        only_skipped = self.skipped and {each.kind for each in self.results} == {"control"}
        return bool(self.results) and every and not self.broken_off and not only_skipped


def seconds(values: Iterable[float | None]) -> str:
    """`least / median / most` in seconds, one figure if they are the same, `-` if there is none."""
    found = spread(values)
    if found is None:
        return "-"
    texts = [f"{value:.1f}" for value in found]
    return f"{texts[0]} s" if len(set(texts)) == 1 else f"{' / '.join(texts)} s"


def counts(values: Iterable[int]) -> str:
    """As `seconds`, for what is counted."""
    found = spread(values)
    if found is None:
        return "-"
    texts = [f"{value:g}" for value in found]
    return texts[0] if len(set(texts)) == 1 else " / ".join(texts)


def rows(session: Session) -> list[list[str]]:
    """One row for each kind, as HEADINGS has it."""
    kinds = list(dict.fromkeys(each.kind for each in session.results))
    table = [
        _row(session, kind, [each for each in session.results if each.kind == kind])
        for kind in kinds
    ]
    gap = [""] * (len(HEADINGS) - 3)
    return table + [[kind, "0", *gap, "skipped"] for kind in session.skipped]


def _row(session: Session, name: str, results: list[Result]) -> list[str]:
    done = [each for each in results if not each.error]
    promoted = [each.slowest_write for each in done]
    passed = sum(each.passed for each in results)
    return [
        name,
        str(len(results)),
        seconds(each.detection for each in done),
        seconds(each.failover for each in done),
        seconds(each.down for each in done),
        counts(each.lost_calls for each in done),
        counts(each.lost for each in done),
        counts(each.duplicates for each in done),
        counts(each.oversold for each in done),
        seconds(promoted),
        _bound(KINDS.get(name), session.full),
        "passed" if passed == len(results) else f"FAILED {len(results) - passed} of {len(results)}",
    ]


def _bound(kind: Kind | None, full: bool) -> str:
    if kind is None:
        return "no fault"
    number = f"{kind.promise}: " if kind.promise else ""
    return f"{number}down <= {kind.longest_down(full):g} s"


def show(console: Console, session: Session) -> None:
    """Print one table; where that does not fit, one for each kind."""
    title = f"Drills, {session.rig}, {session.rate:g} purchases/s asked for"
    found = rows(session)
    # Not a terminal: whoever reads it will have the room.
    if not console.is_terminal:
        console = Console(file=console.file, width=_WIDTH)
    if console.width >= _WIDTH:
        table = Table(*HEADINGS, title=title)
        for row in found:
            table.add_row(*row)
        console.print(table)
        return
    console.print(title)
    for row in found:
        table = Table(show_header=False)
        for name, value in zip(HEADINGS, row, strict=True):
            table.add_row(name, value)
        console.print(table)


def line(result: Result) -> str:
    """One drill in one line."""
    if result.error:
        return f"{result.kind} {result.round}: not done: {result.error}"
    spans = {"detection": result.detection, "failover": result.failover, "down": result.down}
    texts = [f"{name} {value:.1f} s" for name, value in spans.items() if value is not None]
    texts.append(f"{result.acknowledged} purchases, {result.lost} lost")
    texts.append(f"{result.lost_calls} of {result.calls} requests lost")
    target = f" ({result.target})" if result.target else ""
    verdict = "passed" if result.passed else "FAILED"
    return f"{result.kind} {result.round}{target}: {verdict}; {', '.join(texts)}"


def faults(session: Session) -> list[str]:
    """What did not hold, a line each."""
    found = []
    for each in session.results:
        what = [check.text for check in each.checks if not check.holds]
        found += [f"{each.kind} {each.round}: {text}" for text in (*what, each.error) if text]
    return found + ([session.broken_off] if session.broken_off else [])


def as_json(session: Session) -> dict[str, Any]:
    """Everything, as plain values."""
    return {
        "rig": session.rig,
        "began": session.began.isoformat(timespec="seconds"),
        "full": session.full,
        "purchases_per_second": session.rate,
        "machine": {"python": platform.python_version(), "system": platform.platform()},
        "passed": session.passed,
        "broken_off": session.broken_off,
        "skipped": session.skipped,
        "drills": [dataclasses.asdict(each) | {"passed": each.passed} for each in session.results],
    }


def write(session: Session, folder: Path) -> list[Path]:
    """Write `drill-<UTC time>.json` and `.html`; where they are."""
    folder.mkdir(exist_ok=True)
    name = f"drill-{session.began:%Y%m%dT%H%M%SZ}"
    document, page = folder / f"{name}.json", folder / f"{name}.html"
    document.write_text(json.dumps(as_json(session), indent=1, ensure_ascii=False), "utf-8")
    page.write_text(html(session), "utf-8")
    return [document, page]


def html(session: Session) -> str:
    """One page that needs nothing else."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined)
    template = environment.from_string(_TEMPLATE.read_text("utf-8"))
    return template.render(
        session=session,
        headings=HEADINGS,
        rows=rows(session),
        faults=faults(session),
        kinds=KINDS,
        seconds=seconds,
        machine=platform.platform(),
    )
