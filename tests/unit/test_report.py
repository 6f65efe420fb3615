"""The report: two languages that say the same, pages that need nothing else, fair comparisons."""

from __future__ import annotations

import ast
import json
import re
import string
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from loadtests.drills.verdict import Check as DrillCheck
from loadtests.drills.verdict import Result
from loadtests.flash_sale.hot_row import HotRow
from loadtests.report import compare, pages
from loadtests.report.chapters import branches, concurrency, faults, races, scaling
from loadtests.report.document import Chapter, Chart, Check, Document, Figure, Table, Words, read
from loadtests.report.plan import PLANS, chosen
from loadtests.report.skeleton import SKELETON
from loadtests.report.wording import Wording
from local.branches_demo import Scene
from local.errors import StackError
from local.settings import REPOSITORY

PT, EN = Wording("pt"), Wording("en")
MACHINE = {"processor": "a <fast> one", "cores": 2, "memory": "4.0 GiB", "system": "Debian"}
HOSTILE = "<script>alert(1)</script> & | {0}"
AB = """\
Time taken for tests:   1.247 seconds
Complete requests:      1000
Failed requests:        7
   (Connect: 1, Receive: 2, Length: 4, Exceptions: 0)
Non-2xx responses:      5
Requests per second:    801.93 [#/sec] (mean)
Time per request:       124.700 [ms] (mean)
Time per request:       1.247 [ms] (mean, across all concurrent requests)

Percentage of the requests served within a certain time (ms)
  50%    118
  99%    181
 100%    190 (longest request)
"""


def document(*chapters: Chapter, stamp: str = "20261121-120000", **changes: Any) -> Document:
    """A report of these chapters."""
    values: dict[str, Any] = {"machine": MACHINE, "load": [0.1, 3.0], "seconds": 61.5}
    values |= {"system": "embedded", "commit": "abc", "versions": {"Python": "3.11"}}
    return Document(stamp, **values | {"command": "make report"} | changes, chapters=[*chapters])


def chapter(**changes: Any) -> Chapter:
    """One with something in every part."""
    values: dict[str, Any] = {
        "tables": [
            Table(
                Words("Tabela", "Table"),
                [Words("Métrica", "Metric"), Words("Valor", "Value")],
                [[Words("taxa", "rate"), None], [HOSTILE, 1234.5]],
            )
        ],
        "charts": [
            Chart(
                Words("Linhas", "Lines"),
                "lines",
                Words("x", "x"),
                Words("y", "y"),
                [(Words("um", "one"), [(0, 1), (1, 5)]), (Words(HOSTILE, HOSTILE), [(0, 2)])],
            ),
            Chart(
                Words("Barras", "Bars"),
                "bars",
                Words("", ""),
                Words("ms", "ms"),
                [(Words("um", "one"), [1, None])],
                [Words("a", "a"), Words("b", "b")],
            ),
        ],
        "figures": [Figure("rate", Words("taxa", "rate"), 100.0, "req/s", more_is_better=True)],
        "checks": [Check(Words("vale {0}", "holds {0}").of(3), True)],
        "analysis": [Words("ganho {0}", "gain {0}").of(1.5)],
    }
    return Chapter("first", Words("Um", "One"), Words("ver", "see"), **values | changes)


def literals() -> list[tuple[str, str, str]]:
    """Every `Words("...", "...")` in the code: where, and both texts."""
    found = []
    for path in (REPOSITORY / "loadtests/report").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Name(id="Words"),
                    args=[ast.Constant(value=str(pt)), ast.Constant(value=str(en)), *_],
                ):
                    found.append((f"{path.name}:{node.lineno}", pt, en))
    return found


def test_both_languages_have_the_same_places_for_values() -> None:
    def places(text: str) -> set[str | None]:
        return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}

    every = literals()
    assert len(every) > 100
    assert [where for where, pt, en in every if places(pt) != places(en)] == []
    assert [where for where, pt, en in every if bool(pt) != bool(en)] == []


def test_numbers_and_words_are_those_of_the_language() -> None:
    values = [1234, 1234.56, 12.345, 1.2345, 0.00123, 3.0, 0, True, None, "x"]
    assert [EN.cell(v) for v in values] == [
        "1,234", "1,235", "12.3", "1.23", "0.0012", "3", "0", "yes", "-", "x",
    ]  # fmt: skip
    assert [PT.cell(v) for v in values[:4]] == ["1.234", "1.235", "12,3", "1,23"]
    nested = Words("de {0}: {1}", "of {0}: {1}").of(Words("tudo", "all"), 0.5)
    assert (PT.say(nested), EN.say(nested)) == ("de tudo: 0,50", "of all: 0.50")


def test_a_report_is_the_same_after_it_was_written_and_read() -> None:
    before = document(chapter(skipped=Words("sem docker", "no docker")), chapter(error="broke"))
    assert read(json.loads(json.dumps(before.plain()))) == before


@pytest.mark.parametrize("spoil", ["{}", '{"chapters": []}', "[]"])
def test_what_is_no_report_is_refused(spoil: str) -> None:
    with pytest.raises((KeyError, TypeError)):
        read(json.loads(spoil))


class References(HTMLParser):
    """What a page would fetch, and elements that are still open."""

    def __init__(self) -> None:
        super().__init__()
        self.fetched: list[str] = []
        self.scripts = 0
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.scripts += tag == "script"
        self.fetched += [v or "" for k, v in attrs if k in ("src", "href") and v and v[0] != "#"]
        if tag not in ("meta", "link", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


@pytest.mark.parametrize("language", ["pt", "en"])
def test_the_page_needs_nothing_else_and_runs_nothing(language: str) -> None:
    made = document(chapter(error=HOSTILE, notes=[Words(HOSTILE, HOSTILE)]), commit=HOSTILE)
    text = pages.page("report.html.jinja", made, None, language)
    references = References()
    references.feed(text)
    assert (references.fetched, references.scripts, references.open) == ([], 0, [])
    assert text.count("<svg ") == 2 and "aria-label=" in text
    # Charts take their colours from the page, which has them for both themes and for paper.
    assert "stroke:var(--series-1)" in text
    themes = ("prefers-color-scheme: dark", "@media print", "max-width: 40rem")
    assert all(theme in text for theme in themes)
    assert text.count("--series-1:") == 3


def test_the_markdown_has_the_tables() -> None:
    lines = pages.page("report.md.jinja", document(chapter()), None, "pt").splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("| Métrica"))
    assert [line.rstrip() for line in lines[at : at + 4]] == [
        "| Métrica | Valor |",
        "| --- | ---: |",
        "| taxa | - |",
        f"| {HOSTILE.replace('|', chr(92) + '|')} | 1.234 |",
    ]


@pytest.mark.parametrize(
    ("value", "before", "more_is_better", "verdict"),
    [
        (129, 100, False, compare.SAME),
        (131, 100, False, compare.SLOWER),
        (69, 100, False, compare.FASTER),
        (69, 100, True, compare.SLOWER),
        (131, 100, True, compare.FASTER),
        (5, 0, False, compare.SAME),
        (7, 0, False, compare.SLOWER),
        (7, None, False, compare.NEW),
    ],
)
def test_slower_is_what_differs_by_more_than_chance(
    value: float, before: float | None, more_is_better: bool, verdict: str
) -> None:
    figure = Figure("x", Words("x", "x"), value, "ms", more_is_better, margin=0.3, floor=6)
    assert compare.judge(figure, before) == verdict


def test_what_got_slower_is_marked(tmp_path: Path) -> None:
    def at(stamp: str, rate: float, **changes: Any) -> Document:
        figures = [Figure("rate", Words("taxa", "rate"), rate, "req/s", more_is_better=True)]
        made = document(chapter(figures=figures), stamp=stamp, **changes)
        pages.write(made, None, tmp_path / stamp, "en")
        return made

    at("20261101-000000", 100)
    at("20261102-000000", 300, machine={**MACHINE, "cores": 64})
    at("20261103-000000", 300, system="compose")
    (tmp_path / "20261104-000000").mkdir()
    (tmp_path / "20261104-000000/report.json").write_text('{"of": "another version"}')
    now = at("20261105-000000", 50)

    before = compare.previous(tmp_path, now)
    assert before is not None and before.stamp == "20261101-000000"
    text = pages.page("report.html.jinja", now, before, "en")
    assert "Got slower" in text and "rate: 100 → 50 req/s (-50 %)" in text
    assert "Got slower" not in pages.page("report.html.jinja", before, now, "en")


@pytest.mark.parametrize(("others", "said"), [(0.1, False), (0.5, True)])
def test_a_machine_that_was_busy_is_said_to_be(others: float, said: bool) -> None:
    text = pages.page("report.html.jinja", document(chapter(), others=others), None, "en")
    assert ("The machine was busy" in text) == said


def test_ab_is_understood() -> None:
    burst = concurrency.parse_ab(AB)
    assert (burst.seconds, burst.per_second, burst.mean_ms) == (1.247, 801.93, 124.7)
    # A body of another length is an answer; a broken connection and a refusal are none.
    assert burst.good == 1000 - 3 - 5
    assert burst.percentiles == {50: 118, 99: 181, 100: 190}
    with pytest.raises(ValueError, match="Complete requests"):
        concurrency.parse_ab("Benchmarking localhost (be patient)")


def source_tables() -> dict[str, list[str]]:
    """The columns and first cells that the source report leaves to be filled in, by section."""
    texts = {
        "5.3": "Métrica; Valor; Tempo total; Req/segundo; Latência média; Taxa de sucesso",
        "5.4": "Métrica; Valor; Tempo de detecção; Tempo de failover; Requisições perdidas;"
        " Downtime total",
        "5.5": "Instâncias; Throughput (req/s); Latência (ms)",
    }
    return {section: re.split("; *", text) for section, text in texts.items()}


def filled() -> dict[str, Chapter]:
    """Chapters told from made-up measurements, by the section of the source that they fill."""
    many = {plan.source: plan.chapter() for plan in PLANS if plan.source}
    burst = concurrency.parse_ab(AB)
    concurrency.tell(many["5.3"], "gateway", Words("pelo gateway", "at the gateway"), burst)
    faults.tell(many["5.4"], results())
    points = [scaling.Point(n, c, 100.0 * n, 5.0, 9.0, 2.0, 0.5) for n in (1, 2, 3) for c in (1, 4)]
    scaling.tell(many["5.5"], "cart", Words("Carrinho", "Cart"), points)
    return many


def results() -> list[Result]:
    """A drill that passed and one that did not."""
    lost = Result("primary-host-loss", 1, "postgres-1", detection=15.0, failover=16.0, down=16.5)
    lost.checks = [DrillCheck("1 acknowledged purchases lost", False)]
    lost.per_second, lost.fault_second, lost.mended_second = [3, 0, 2], 0.5, 1.5
    return [Result("control", 1, ""), lost]


@pytest.mark.parametrize("section", ["5.3", "5.4", "5.5"])
def test_the_tables_of_the_source_report_are_there(section: str) -> None:
    made = filled()[section]
    table = made.tables[0]
    words = [each.pt for each in table.columns]
    words += [row[0].pt for row in table.rows if isinstance(row[0], Words)]
    assert words[: len(source_tables()[section])] == source_tables()[section]
    text = pages.page("report.html.jinja", document(made), None, "pt")
    assert all(f">{word}<" in text for word in source_tables()[section])


def test_a_drill_that_fails_fails_its_chapter() -> None:
    made = filled()["5.4"]
    assert not made.passed
    assert [check.holds for check in made.checks] == [True, False]
    assert "1 acknowledged purchases lost" in EN.say(made.checks[1].text)
    assert {figure.name for figure in made.figures} == {
        "primary-host-loss-detection",
        "primary-host-loss-failover",
        "primary-host-loss-down",
    }


def test_saturation_begins_where_more_clients_add_nothing() -> None:
    rates = [(1, 10.0), (4, 39.0), (16, 99.0), (48, 100.0)]
    points = [scaling.Point(1, c, rate, 1.0, 1.0, None, None) for c, rate in rates]
    most, knee = scaling.best(points, 1)
    assert (most.clients, knee.clients) == (48, 16)


def test_races_and_branches_say_what_was_counted() -> None:
    race, cut = (
        Chapter("r", Words("", ""), Words("", "")),
        Chapter("b", Words("", ""), Words("", "")),
    )
    found = {"test": "tests/x.py::test_new", "outcome": "failed", "seconds": 1.0}
    races.tell(race, [found | {"figures": ["promise 1: 201 x 20"]}])
    assert [[PT.cell(cell) for cell in row] for row in race.tables[0].rows] == [
        ["test_new", "201 x 20", "FALHOU", "1"]
    ]
    assert not race.passed
    facts = {"sold": 5, "pending": 9, "seconds": 1.5, "here": {"matriz": 5}, "there": {}}
    branches.tell(cut, [Scene("cut-off", facts), Scene("transfer", {"seen": {"matriz": 6}})])
    assert "5 de 5 pedidos passaram, 9 eventos esperaram" in PT.cell(cut.tables[0].rows[0][1])
    assert [figure.value for figure in cut.figures] == [1.5]


def test_a_chapter_that_there_is_not_is_named() -> None:
    assert [plan.name for plan in chosen(["faults", "functional"])] == ["functional", "faults"]
    with pytest.raises(StackError, match="there is no chapter speed; there are functional,"):
        chosen(["speed"])
    assert all(re.fullmatch("[a-z-]+", plan.name) for plan in PLANS)
    assert set(SKELETON) >= {"title", "comparison", "again"}


def test_a_row_that_is_too_slow_misses_its_bar() -> None:
    row = HotRow(16, 1000, 800, 450, [0.44, 0.45, 0.9], 0.2, {"on": 0.9})
    assert (row.ratio, row.met) == (0.45, False)
