"""Break parts of a running Feira on purpose, under a load of purchases, and say what it did."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence
from types import FrameType
from typing import NoReturn

from rich.console import Console

from loadtests.drills import report, session
from loadtests.drills.display import Display
from loadtests.drills.kinds import ALIASES, KINDS, chosen
from loadtests.drills.report import Session
from loadtests.drills.rigs import open_rig
from local.errors import StackError
from local.progress import Progress
from local.report import show_failure
from local.settings import REPOSITORY

REPORTS = REPOSITORY / "reports"
# Purchases a second, everyday and with all counts of the promises.
RATE, FULL_RATE = 10.0, 50.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Do the drills that were asked for: 0 if all passed, 1 if not."""
    options = _parse(arguments)
    progress = Progress()
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupted)
    rate = options.rate or (FULL_RATE if options.full else RATE)
    done = Session(options.on, rate, options.full)
    try:
        plan = session.plan(chosen(options.kind), options.times, full=options.full)
        with open_rig(options.on, progress) as rig, Display(progress.console, plan) as display:
            session.run(rig, plan, done, display)
    except StackError as error:
        done.broken_off = str(error)
        show_failure(progress.console, error)
    except KeyboardInterrupt:
        done.broken_off = "by hand"
        progress.say("Broken off; what was broken is mended.")
    if done.results:
        _show(progress.console, done)
    if done.broken_off == "by hand":
        return 130
    return 0 if done.passed else 1


def _show(console: Console, done: Session) -> None:
    report.show(console, done)
    for fault in report.faults(done):
        console.print(f"FAILED: {fault}", style="bold red", markup=False)
    for path in report.write(done, REPORTS):
        console.print(f"Report: {path}", markup=False)


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make drill", description=__doc__)
    parser.add_argument("--on", choices=("embedded", "compose"), default="embedded")
    names = ", ".join([*KINDS, *ALIASES])
    parser.add_argument("--kind", default="", help=f"which, separated by commas: {names}")
    parser.add_argument("--times", type=_count, help="how often each is done")
    parser.add_argument("--rate", type=_count, help="purchases a second")
    parser.add_argument("--full", action="store_true", help="the counts of the promises")
    return parser.parse_args(arguments)


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of 1 or more")
    return int(text)


def _interrupted(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
