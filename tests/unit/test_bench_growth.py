"""The verdict of `make bench GROWTH=1`, and what it makes up to ask the shop."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from chassis import cursors
from loadtests.bench import growth
from local.progress import Progress

ABOUT: dict[str, object] = {"began": "2026-11-21 18:00 UTC", "stamp": "20261121-180000"}


@pytest.mark.parametrize(("grew", "code"), [(1.5, 0), (1.51, 1)])
def test_an_answer_that_takes_longer_in_a_large_shop_fails(
    grew: float, code: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(growth, "REPORTS", tmp_path / "reports")
    found = {"search": [(4.0, 2.0), (4.0 * grew, 2.5)], "cart": [(2.0, 1.0), (1.0, 1.0)]}
    assert growth.report(Progress(), [10, 1000], found, ABOUT) == code
    page = (tmp_path / "reports" / "growth-20261121-180000.md").read_text()
    assert f"| search | 4.00 (2.00) | {4 * grew:.2f} (2.50) | {grew:.2f} x |" in page
    assert ("beyond 1.5 x: search" in page) == bool(code)
    document = json.loads((tmp_path / "reports" / "growth-20261121-180000.json").read_text())
    assert document["sizes"] == [10, 1000]


def test_the_cursor_that_it_makes_up_is_one_of_the_catalogs() -> None:
    cursor = growth.cursor_of("price", [10_000, 7])
    assert cursors.decode(cursor, "price", (int, int)) == [10_000, 7]
