"""The chapters of the report on the stack that the other tests use, each for a moment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from loadtests.report import pages, run
from loadtests.report.chapters import concurrency, functional, scaling
from loadtests.report.display import Display
from loadtests.report.document import Chapter
from loadtests.report.embedded_place import EmbeddedPlace
from loadtests.report.plan import chosen
from local.errors import StackError
from local.progress import Progress
from local.stack import Stack
from tests.shop import wait_until


@pytest.fixture
def place(stack: Stack) -> Iterator[EmbeddedPlace]:
    opened = EmbeddedPlace(stack)
    yield opened
    opened.close()


def nobody(_: str) -> None:
    """Is told what goes on, and does not care."""


def empty(name: str) -> Chapter:
    return chosen([name])[0].chapter()


def test_a_purchase_is_told_step_by_step(place: EmbeddedPlace, tmp_path: Path) -> None:
    chapter = empty("functional")
    functional.run(place, chapter, nobody)
    steps = [str(row[1]) for row in chapter.tables[0].rows]
    assert steps[0] == "GET /api/produtos"
    assert steps[-1] == "GET /api/products/{id}/stock"
    assert [row[2] for row in chapter.tables[0].rows].count("200") == 5
    assert chapter.passed
    report = run.begin("embedded", "make report ONLY=functional")
    report.chapters.append(chapter)
    report.load.append(0.0)
    written = pages.write(report, None, tmp_path, "pt")
    assert [path.name for path in written] == ["report.json", "report.md", "index.html"]
    assert "7 de 7 passos com sucesso" in written[2].read_text("utf-8")


def test_without_ab_the_same_is_asked_and_said(
    place: EmbeddedPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.which", lambda _: None)
    monkeypatch.setattr(concurrency, "REQUESTS", 60)
    monkeypatch.setattr(concurrency, "USERS", 8)
    chapter = empty("concurrency")
    burst = concurrency._burst(chapter, place.url)
    assert burst.good == 60
    assert 0 < burst.percentiles[50] <= burst.mean_ms * 3
    assert "`ab` is not on this machine" in chapter.notes[0].en


def test_a_service_is_scaled_out_and_back_and_every_instance_is_asked(
    place: EmbeddedPlace, stack: Stack
) -> None:
    place.scale("cart", 3)
    before = place.cpu_seconds()
    assert before is not None and {"nginx", "cart", "Postgres"} <= before.keys()
    assert set(asked_instances(stack)) == {"cart", "cart-2", "cart-3"}
    place.scale("cart", 1)
    wait_until(lambda: set(asked_instances(stack)) == {"cart"}, 10)


def asked_instances(stack: Stack) -> list[str]:
    """Who answers, of some requests at once on connections of their own."""
    names = []
    for _ in range(12):
        status = httpx.get(f"{stack.url}/status", timeout=10, trust_env=False).json()
        names.append(status["cart"].get("instance", "none"))
    return names


def test_the_series_of_a_service_has_a_point_for_each_load(
    place: EmbeddedPlace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scaling, "CLIENTS", (1, 2))
    monkeypatch.setattr(scaling, "INSTANCES", (1, 2))
    monkeypatch.setattr(scaling, "SECONDS", 0.2)
    every = scaling._series
    # Of the three, the one that waits for its events as well.
    monkeypatch.setattr(scaling, "_series", lambda *found: every(*found)[2:])
    chapter = empty("scaling")
    scaling.run(place, chapter, nobody)
    assert [len(table.rows) for table in chapter.tables] == [2]
    assert [len(chart.series) for chart in chapter.charts] == [2]
    for row in (row for table in chapter.tables for row in table.rows):
        _, per_second, mean, p99, cpu, clients = row[:6]
        assert isinstance(per_second, float) and per_second > 0
        assert isinstance(mean, float) and isinstance(p99, float) and 0 < mean <= p99
        assert isinstance(cpu, float) and cpu > 0 and clients in (1, 2)


def test_a_chapter_that_fails_does_not_end_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(chapter: Chapter, say: object) -> None:
        raise StackError("two branches, and no room")

    def fine(chapter: Chapter, say: object) -> None:
        """Nothing to complain of."""

    plans = chosen(["races", "branches"])
    object.__setattr__(plans[0], "alone", broken)
    object.__setattr__(plans[1], "alone", fine)
    report = run.begin("embedded", "make report")
    with Display(Progress().console, plans, {}) as display:
        run.measure(report, plans, display)
    assert [(each.name, each.error) for each in report.chapters] == [
        ("races", "two branches, and no room"),
        ("branches", ""),
    ]
    assert not report.passed
    monkeypatch.undo()
