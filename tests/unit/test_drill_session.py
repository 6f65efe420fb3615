"""What a drill concludes from what it saw, and what it tells."""

from __future__ import annotations

import io
import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
from rich.console import Console

from loadtests.drills import report
from loadtests.drills.__main__ import main
from loadtests.drills.kinds import KINDS, chosen
from loadtests.drills.report import Session
from loadtests.drills.session import plan
from loadtests.drills.verdict import Check, Result, checks
from loadtests.drills.watch import View, is_whole, view_of
from local.errors import StackError
from local.settings import REPOSITORY

GOOD = Result(
    kind="primary-host-loss",
    round=1,
    target="db-1",
    detection=18.0,
    promotion=19.0,
    failover=20.0,
    down=21.0,
    acknowledged=100,
    first_writes={"catalog-1": 0.5, "catalog-2": 9.9},
    audit_holds=True,
    fence_attempts=5,
    per_second=[3, 0, 5],
    fault_second=0.5,
    mended_second=1.5,
)
PRIMARY = View(1, "db-1", "primary", "running", 3, False, "db-1", True, ("db-2",))
STANDBY = View(1, "db-2", "replica", "running", 3, True, "db-1", True, ("db-2",))


def broken(kind: str, result: Result, *, full: bool = False) -> list[str]:
    return [each.text for each in checks(KINDS[kind], result, full=full) if not each.holds]


@pytest.mark.parametrize("kind", KINDS)
def test_a_good_drill_passes(kind: str) -> None:
    result = replace(GOOD, down=5.0)
    assert broken(kind, result) == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"lost": 1}, "1 acknowledged purchases lost"),
        ({"duplicates": 2}, "2 duplicated purchases"),
        ({"oversold": 1}, "1 units oversold"),
        ({"unknown": 1}, "1 purchases whose outcome stayed unknown"),
        ({"audit_holds": False}, "the audit holds"),
        ({"down": 45.1}, "down for 45.1 s, at most 45 s"),
        ({"lost_reads": 1}, "1 reads without a usable answer"),
        ({"improper_calls": 1}, "1 checkouts refused without a 503 and Retry-After"),
        ({"promotion": None}, "the other node became primary"),
        (
            {"first_writes": {"catalog-1": None, "catalog-2": 1.0}},
            "every instance wrote within 10 s of the promotion; not catalog-1",
        ),
        ({"first_writes": {}}, "every instance wrote within 10 s of the promotion"),
        (
            {"read_only_errors": ["orders saga after 12.0 s"]},
            "1 writes on a read-only node after that: orders saga after 12.0 s",
        ),
        (
            {"fence_acknowledged": 1},
            "1 transactions of 5 that the old primary acknowledged",
        ),
    ],
)
def test_what_breaks_a_promise_is_named(change: dict[str, object], complaint: str) -> None:
    assert broken("primary-frozen", replace(GOOD, **change)) == [complaint]


@pytest.mark.parametrize("kind", ["dcs-loss", "standby-loss"])
def test_a_demotion_without_need_fails(kind: str) -> None:
    result = replace(GOOD, down=5.0, demoted=True)
    assert broken(kind, result) == ["the primary stayed primary"]


def test_without_a_fault_not_a_single_call_may_fail() -> None:
    found = checks(None, replace(GOOD, lost_calls=1), full=False)
    assert [each.text for each in found if not each.holds] == ["1 calls without a usable answer"]


def test_carts_may_be_away_as_long_as_their_store() -> None:
    kind = KINDS["redis-carts-loss"]
    assert kind.longest_down(False) == kind.hold_seconds + kind.longest_down_seconds


@pytest.mark.parametrize(
    ("kind", "promise", "bound", "times", "hold"),
    [
        ("primary-host-loss", "19", 30, 20, 0),
        ("postmaster-crash", "20", 15, 20, 0),
        ("primary-frozen", "21", 45, 10, 60),
        ("primary-cut-off", "21", 45, 10, 60),
        ("dcs-loss", "22", 20, 1, 300),
        ("standby-loss", "23", 20, 20, 10),
    ],
)
def test_full_counts_are_those_of_the_promises(
    kind: str, promise: str, bound: float, times: int, hold: float
) -> None:
    found = KINDS[kind]
    assert (found.promise, found.longest_down(True), found.hold(True)) == (promise, bound, hold)
    assert plan([found], None, full=True) == [(found, times)]
    assert plan([found], None, full=False) == [(found, 1)]
    assert plan([found], 7, full=True) == [(found, 7)]


def test_kinds_are_chosen_by_name() -> None:
    assert [kind.name for kind in chosen("")] == list(KINDS)
    names = [kind.name for kind in chosen("redis-loss, dcs-loss,redis-carts-loss")]
    assert names == ["redis-carts-loss", "redis-streams-loss", "dcs-loss"]
    with pytest.raises(StackError, match="there is no drill 'fire'; there are primary-host-loss"):
        chosen("dcs-loss,fire")


def test_an_unknown_kind_ends_before_anything_is_started(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["--kind", "fire"]) == 1
    assert "error: there is no drill 'fire'" in capsys.readouterr().out


@pytest.mark.parametrize("value", ["0", "-1", "x", "1.5"])
def test_a_count_is_1_or_more(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["--times", value])
    assert raised.value.code == 2
    assert "not a number of 1 or more" in capsys.readouterr().err


def test_a_whole_cluster() -> None:
    assert is_whole([PRIMARY, STANDBY], ("db-1", "db-2"))


@pytest.mark.parametrize(
    "views",
    [
        [PRIMARY],
        [STANDBY],
        [PRIMARY, replace(STANDBY, role="primary")],
        [PRIMARY, replace(STANDBY, streaming=False)],
        [PRIMARY, replace(STANDBY, timeline=2)],
        [PRIMARY, replace(STANDBY, failsafe=True)],
        [PRIMARY, replace(STANDBY, asked_store=False)],
        [PRIMARY, replace(STANDBY, holder=None)],
        [replace(PRIMARY, synchronous=()), STANDBY],
        [replace(PRIMARY, state="stopping"), STANDBY],
    ],
)
def test_a_cluster_that_lacks_something(views: list[View]) -> None:
    assert not is_whole(views, ("db-1", "db-2"))


def test_what_patroni_says_is_understood() -> None:
    members = [
        {"name": "db-1", "role": "leader"},
        {"name": "db-2", "role": "sync_standby"},
        {"name": "db-3", "role": "replica"},
    ]
    own = {"role": "replica", "state": "running", "timeline": 4, "replication_state": "streaming"}
    view = view_of("db-2", {"at": 0.0, "own": own, "cluster": {"members": members}})
    expected = View(view.at, "db-2", "replica", "running", 4, True, "db-1", True, ("db-2",))
    assert view == expected


def test_a_patroni_that_says_nothing_leads_nobody() -> None:
    view = view_of("db-1", {"at": 0.0, "own": {}, "cluster": {}})
    assert (view.leads, view.holder, view.asked_store, view.timeline) == (False, None, False, 0)


@pytest.fixture
def session() -> Session:
    found = Session("compose", 10, False)
    bad = Result(kind="primary-host-loss", round=2, target="", error="<no> cluster")
    late = replace(GOOD, round=3, down=42.0, failover=40.0, checks=[Check("down <b>", False)])
    found.results = [replace(GOOD, checks=[Check("fine", True)]), bad, late]
    found.skipped["primary-cut-off"] = "only root may drop packets"
    return found


def test_the_table_gives_least_median_and_most(session: Session) -> None:
    (lost, cut) = report.rows(session)
    row = dict(zip(report.HEADINGS, lost, strict=True))
    assert (row["n"], row["failover"], row["down"]) == (
        "3",
        "20.0 / 30.0 / 40.0 s",
        "21.0 / 31.5 / 42.0 s",
    )
    assert (row["detection"], row["writes lost"]) == ("18.0 s", "0")
    assert (row["promise"], row["result"]) == ("19: down <= 30 s", "FAILED 2 of 3")
    assert (cut[0], cut[-1]) == ("primary-cut-off", "skipped")


def test_a_session_passes_when_everything_did(session: Session) -> None:
    assert not session.passed
    session.results = session.results[:1]
    assert session.passed
    session.results[0].kind = "control"
    assert not session.passed, "what was asked for was skipped"
    session.skipped = {}
    assert session.passed
    session.broken_off = "why"
    assert not session.passed
    assert not Session("compose", 10, False).passed, "nothing was done"


@pytest.mark.parametrize("width", [80, 200])
def test_every_figure_is_printed_however_wide_the_terminal(session: Session, width: int) -> None:
    console = Console(width=width, record=True, force_terminal=True, file=io.StringIO())
    report.show(console, session)
    text = console.export_text()
    assert "21.0 / 31.5 / 42.0 s" in text
    assert "FAILED 2 of 3" in text


def test_reports_are_json_and_a_page_that_needs_nothing_else(
    session: Session, tmp_path: Path
) -> None:
    document, page = report.write(session, tmp_path / "reports")
    assert re.fullmatch(r"drill-\d{8}T\d{6}Z\.json", document.name)
    found = json.loads(document.read_text("utf-8"))
    assert (found["passed"], found["drills"][0]["failover"]) == (False, 20.0)
    assert found["skipped"] == {"primary-cut-off": "only root may drop packets"}
    html = page.read_text("utf-8")
    assert "width=device-width" in html and "prefers-color-scheme: dark" in html
    assert not re.search(r"(?:src|href)=|url\(|https?:", html)
    assert "down &lt;b&gt;" in html and "&lt;no&gt; cluster" in html
    assert html.count("<rect") == 4


def test_a_drill_of_every_kind_is_documented_and_no_other_is() -> None:
    text = (REPOSITORY / "docs/drills.md").read_text("utf-8")
    table = text.partition("## Kinds")[2].partition("\n## ")[0]
    assert re.findall(r"(?m)^\| `([a-z-]+)` \|", table) == list(KINDS)


def test_every_figure_of_the_table_is_defined() -> None:
    text = (REPOSITORY / "docs/drills.md").read_text("utf-8")
    table = text.partition("## Figures")[2].partition("\n## ")[0]
    defined = set(re.findall(r"(?m)^\| ([a-z ]+?) \|", table))
    assert set(report.HEADINGS) - {"drill", "n", "promise", "result"} <= defined
