"""A report beside the one before it: what got slower by more than chance."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from loadtests.report.document import Chapter, Document, Figure, read

SLOWER, FASTER, SAME, NEW = "slower", "faster", "same", "new"
# The share of the machine that others took before anything was started, above which they disturb.
BUSY = 0.2


@dataclass(frozen=True)
class Comparison:
    """One figure now and before; `before` is None where there was none."""

    chapter: str
    figure: Figure
    before: float | None
    verdict: str

    @property
    def change(self) -> float | None:
        """The relative difference to before; None without one, or when it was 0."""
        return None if not self.before else self.figure.value / self.before - 1


def judge(figure: Figure, before: float | None) -> str:
    """Whether a figure is slower than before by more than its margin and its floor."""
    if before is None:
        return NEW
    worse = before - figure.value if figure.more_is_better else figure.value - before
    if abs(worse) <= max(figure.floor, figure.margin * before):
        return SAME
    return SLOWER if worse > 0 else FASTER


def compare(document: Document, before: Document | None) -> list[Comparison]:
    """Every figure of a report with the one of the same name of the report before."""
    known = {
        (chapter.name, figure.name): figure.value
        for chapter in (before.chapters if before else [])
        for figure in chapter.figures
    }
    return [
        _compared(chapter, figure, known.get((chapter.name, figure.name)))
        for chapter in document.chapters
        for figure in chapter.figures
    ]


def _compared(chapter: Chapter, figure: Figure, before: float | None) -> Comparison:
    return Comparison(chapter.name, figure, before, judge(figure, before))


def previous(folder: Path, document: Document) -> Document | None:
    """The last report before this one of the same system, on a machine of the same kind."""
    earlier = sorted(
        path for path in folder.glob("*/report.json") if path.parent.name < document.stamp
    )
    for path in reversed(earlier):
        try:
            found = read(json.loads(path.read_text("utf-8")))
        except (OSError, KeyError, TypeError, ValueError):
            continue  # broken off, or of another version
        if (found.system, found.machine) == (document.system, document.machine):
            return found
    return None
