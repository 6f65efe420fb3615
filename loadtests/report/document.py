"""What a report holds, in plain values: it is written as JSON, and every page is made from that."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Literal, NamedTuple

LANGUAGES = ("pt", "en")


class Words(NamedTuple):
    """The same in Portuguese and in English; `{0}` and so on stand for the values."""

    pt: str
    en: str
    values: tuple[Any, ...] = ()

    def of(self, *values: Any) -> Words:
        """The same text with these values."""
        return self._replace(values=values)


Cell = Words | str | int | float | bool | None


@dataclass
class Table:
    """Rows of cells below columns; None is a cell that has nothing to say."""

    title: Words
    columns: list[Words]
    rows: list[list[Cell]]


@dataclass
class Chart:
    """Lines through points (x, y), or bars: one for each label and series."""

    title: Words
    kind: Literal["lines", "bars"]
    x: Words
    y: Words
    series: list[tuple[Words, list[Any]]]
    labels: list[Words] = field(default_factory=list)


@dataclass(frozen=True)
class Figure:
    """A number that is compared with that of the report before.

    Attributes:
        name: what finds it again; no other figure of the chapter has it.
        more_is_better: which way is slower.
        margin: the share by which it may differ by chance.
        floor: what it may differ by in any case, in its own unit.
    """

    name: str
    title: Words
    value: float
    unit: str
    more_is_better: bool = False
    margin: float = 0.3
    floor: float = 0.0


@dataclass
class Check:
    """Something that has to be so."""

    text: Words
    holds: bool


@dataclass
class Chapter:
    """One chapter: how it was measured, what came of it, and how to do it again.

    Attributes:
        source: the section of the source report that it fills, if it does.
        commands: each repeats the figures of this chapter, or a part of them.
        skipped: why it was not done, if it was not.
    """

    name: str
    title: Words
    aim: Words
    source: str = ""
    commands: list[str] = field(default_factory=list)
    notes: list[Words] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    charts: list[Chart] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    analysis: list[Words] = field(default_factory=list)
    skipped: Words | None = None
    error: str = ""
    seconds: float = 0.0

    @property
    def passed(self) -> bool:
        """Whether nothing went wrong; a chapter that was skipped did not."""
        return not self.error and all(check.holds for check in self.checks)


@dataclass
class Document:
    """A whole report.

    Attributes:
        stamp: UTC, as `20261121-201500`; the folder's name too.
        system: `embedded` or `compose`.
        machine: processor, cores, memory, system.
        versions: program to version.
        load: the machine's load average before and after.
        others: the share of its processors that was taken before anything was started.
    """

    stamp: str
    system: str
    commit: str
    machine: dict[str, Any]
    versions: dict[str, str]
    command: str
    load: list[float] = field(default_factory=list)
    others: float = 0.0
    seconds: float = 0.0
    chapters: list[Chapter] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        """Whether everything that had to hold did."""
        return all(chapter.passed for chapter in self.chapters)

    def plain(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def read(plain: dict[str, Any]) -> Document:
    """A document from what `plain` made of it, by way of JSON.

    Raises:
        KeyError, TypeError, ValueError: it is no report of this version.
    """
    chapters = [_chapter(each) for each in plain["chapters"]]
    return Document(**plain | {"chapters": chapters})


def _chapter(plain: dict[str, Any]) -> Chapter:
    skipped = plain["skipped"]
    return Chapter(
        **plain
        | {
            "title": _words(plain["title"]),
            "aim": _words(plain["aim"]),
            "notes": [_words(each) for each in plain["notes"]],
            "analysis": [_words(each) for each in plain["analysis"]],
            "tables": [_table(each) for each in plain["tables"]],
            "charts": [_chart(each) for each in plain["charts"]],
            "figures": [
                Figure(**each | {"title": _words(each["title"])}) for each in plain["figures"]
            ],
            "checks": [Check(_words(each["text"]), each["holds"]) for each in plain["checks"]],
            "skipped": None if skipped is None else _words(skipped),
        }
    )


def _table(plain: dict[str, Any]) -> Table:
    rows = [[_cell(cell) for cell in row] for row in plain["rows"]]
    return Table(_words(plain["title"]), [_words(each) for each in plain["columns"]], rows)


def _chart(plain: dict[str, Any]) -> Chart:
    return Chart(
        title=_words(plain["title"]),
        kind=plain["kind"],
        x=_words(plain["x"]),
        y=_words(plain["y"]),
        series=[
            (_words(name), [tuple(each) if isinstance(each, list) else each for each in values])
            for name, values in plain["series"]
        ],
        labels=[_words(each) for each in plain["labels"]],
    )


def _cell(plain: Any) -> Cell:
    found: Cell = _words(plain) if isinstance(plain, list) else plain
    return found


def _words(plain: list[Any]) -> Words:
    """JSON has lists where this has tuples."""
    pt, en, values = plain
    return Words(pt, en, tuple(_cell(each) for each in values))
