"""Measure all that can be measured of Feira, and write it down: what `make report` runs."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from types import FrameType
from typing import NoReturn

from loadtests.report import compare, pages, run
from loadtests.report.display import Display
from loadtests.report.document import LANGUAGES, read
from loadtests.report.plan import NAMES, chosen
from local.errors import StackError
from local.progress import Progress
from local.report import show_failure
from local.settings import REPOSITORY

REPORTS = REPOSITORY / "reports"


def main(arguments: Sequence[str] | None = None) -> int:
    """Make a report: 0 if all that had to hold did, else 1."""
    options = _parse(arguments)
    progress = Progress()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    try:
        if options.again:
            return _again(options.again, options.language, progress)
        return _make(options, progress)
    except StackError as error:
        show_failure(progress.console, error)
        return 1
    except KeyboardInterrupt:
        progress.say("Broken off; nothing was written.")
        return 130


def _make(options: argparse.Namespace, progress: Progress) -> int:
    names = [name for name in options.only.split(",") if name]
    plans = chosen(names)
    document = run.begin(options.on, _command(options))
    before = compare.previous(REPORTS, document)
    known = {chapter.name: chapter.seconds for chapter in before.chapters} if before else {}
    with Display(progress.console, plans, known) as display:
        run.measure(document, plans, display)
    paths = pages.write(document, before, REPORTS / document.stamp, options.language)
    for each in compare.compare(document, before):
        if each.verdict == compare.SLOWER:
            was = f"{each.before:g} -> {each.figure.value:g} {each.figure.unit}"
            progress.say_plain(f"slower: {each.chapter} {each.figure.name}: {was}")
    for path in paths:
        progress.say_plain(f"Written: {path}")
    return 0 if document.passed else 1


def _again(path: Path, language: str, progress: Progress) -> int:
    """The pages of a report that was measured before, perhaps in the other language."""
    try:
        document = read(json.loads(path.read_text("utf-8")))
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise StackError(f"{path} is no report: {error}") from None
    before = compare.previous(path.parent.parent, document)
    for written in pages.write(document, before, path.parent, language):
        progress.say_plain(f"Written: {written}")
    return 0


def _command(options: argparse.Namespace) -> str:
    parts = ["make report", f"ONLY={options.only}" if options.only else ""]
    parts += ["DOCKER=1" if options.on == "compose" else "", f"LANG_REPORT={options.language}"]
    return " ".join(filter(None, parts))


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make report", description=__doc__)
    parser.add_argument("--on", choices=("embedded", "compose"), default="embedded")
    parser.add_argument("--language", choices=LANGUAGES, default="pt")
    parser.add_argument("--only", default="", help=f"chapters, separated by commas: {NAMES}")
    text = "a report.json: write its pages anew instead of measuring"
    parser.add_argument("--again", type=Path, help=text)
    return parser.parse_args(arguments)


def _interrupted(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
