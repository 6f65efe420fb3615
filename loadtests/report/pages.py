"""A report as files: JSON, a page of HTML that needs nothing else, and Markdown."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from loadtests.report.charts import svg
from loadtests.report.compare import BUSY, FASTER, NEW, SAME, SLOWER, Comparison, compare
from loadtests.report.document import Cell, Chart, Document, Words
from loadtests.report.skeleton import SKELETON
from loadtests.report.wording import Wording

_FOLDER = Path(__file__).parent
_VERDICTS = {
    SLOWER: Words("mais lento", "slower"),
    FASTER: Words("mais rápido", "faster"),
    SAME: Words("igual", "same"),
    NEW: Words("novo", "new"),
}


def write(document: Document, before: Document | None, folder: Path, language: str) -> list[Path]:
    """Write `report.json`, `report.md` and `index.html`; where they are.

    Args:
        before: what it is compared with, if there is anything.
        language: of the pages, `pt` or `en`; the JSON has both.
    """
    folder.mkdir(parents=True, exist_ok=True)
    plain = folder / "report.json"
    plain.write_text(json.dumps(document.plain(), indent=1, ensure_ascii=False) + "\n", "utf-8")
    paths = [plain]
    for name, template in (("report.md", "report.md.jinja"), ("index.html", "report.html.jinja")):
        paths.append(folder / name)
        paths[-1].write_text(page(template, document, before, language), "utf-8")
    return paths


def page(template: str, document: Document, before: Document | None, language: str) -> str:
    """One of the two pages, by the name of its template."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_FOLDER),
        autoescape=template.endswith(".html.jinja"),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    wording = Wording(language)
    compared = compare(document, before)
    return environment.get_template(template).render(
        report=document,
        before=before,
        language=language,
        say=wording.say,
        cell=wording.cell,
        kind=_kind,
        kind_of=lambda table, at: _kind(next((r[at] for r in table.rows if r[at] is not None), "")),
        t={name: wording.say(words) for name, words in SKELETON.items()},
        draw=_drawer(wording),
        compared=compared,
        slower=[each for each in compared if each.verdict == SLOWER],
        verdict=lambda each: wording.say(_VERDICTS[each.verdict]),
        change=lambda each: _change(each, wording),
        busy=document.others > BUSY,
        when=_when,
    )


def _drawer(wording: Wording) -> Callable[[Chart], Markup]:
    def draw(chart: Chart) -> Markup:
        title = Markup.escape(wording.say(chart.title))
        label = Markup('<svg role="img" aria-label="{}" ').format(title)
        # What pygal makes has its texts escaped already.
        return Markup(svg(chart, wording).replace("<svg ", label, 1))  # noqa: S704

    return draw


def _kind(value: Cell) -> str:
    """Numbers stand at the right."""
    return "number" if isinstance(value, int | float) and not isinstance(value, bool) else "text"


def _change(each: Comparison, wording: Wording) -> str:
    if each.change is None:
        return "-"
    percent = f"{100 * each.change:+.0f} %"
    return percent if wording.language == "en" else percent.replace(".", ",")


def _when(stamp: str, language: Any) -> str:
    moment = datetime.strptime(stamp, "%Y%m%d-%H%M%S")
    return f"{moment:%d/%m/%Y %H:%M} UTC" if language == "pt" else f"{moment:%Y-%m-%d %H:%M} UTC"
