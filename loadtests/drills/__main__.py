"""`python -m loadtests.drills`: what `make drill` runs."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from types import FrameType
from typing import NoReturn

from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from loadtests.drills import report
from loadtests.drills.compose_rig import ComposeRig
from loadtests.drills.drill import Drill
from loadtests.drills.kinds import Kind, chosen
from loadtests.drills.report import Session
from loadtests.drills.rig import Rig
from loadtests.drills.verdict import Result
from loadtests.drills.watch import Watch
from local.errors import StackError
from local.progress import Progress as Lines
from local.report import show_failure
from local.settings import REPOSITORY

REPORTS = REPOSITORY / "reports"
RATE, FULL_RATE = 10.0, 50.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Do the drills that were asked for: 0 if all passed, 1 if not."""
    options = _parse(arguments)
    console = Lines().console
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        plan = [
            (kind, options.times or (kind.full_times if options.full else 1))
            for kind in chosen(options.kind)
        ]
        session = Session(
            options.on, options.rate or (FULL_RATE if options.full else RATE), options.full
        )
        with (
            _rig(options.on) as rig,
            Progress(
                SpinnerColumn(),
                BarColumn(20),
                TextColumn("{task.completed}/{task.total} {task.description}"),
                TimeElapsedColumn(),
                console=console,
                transient=True,
            ) as progress,
        ):
            task = progress.add_task("", total=1 + sum(times for _, times in plan))
            _run(
                rig,
                plan,
                session,
                say=lambda text: progress.update(task, description=escape(text)),
                tell=lambda text: (progress.console.print(escape(text)), progress.advance(task)),
            )
    except StackError as error:
        show_failure(console, error)
        return 1
    except KeyboardInterrupt:
        console.print("Broken off; everything was mended.")
        return 130
    console.print(report.table(session))
    for fault in report.faults(session):
        console.print(escape(f"FAILED: {fault}"), style="bold red")
    for path in report.write(session, REPORTS):
        console.print(f"Report: {path}", soft_wrap=True)
    return 0 if session.passed else 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make drill", description=__doc__)
    parser.add_argument("--on", choices=("embedded", "compose"), default="embedded")
    parser.add_argument("--kind", default="", help="names, separated by commas; all without it")
    parser.add_argument("--times", type=_positive, help="how often each is done")
    parser.add_argument("--rate", type=float, help="purchases a second")
    parser.add_argument("--full", action="store_true", help="the counts of the promises")
    return parser.parse_args(arguments)


def _positive(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not a count")
    return int(text)


def _interrupted(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def _rig(on: str) -> Iterator[Rig]:
    """The system to drill, whole before and after."""
    if on == "embedded":
        raise StackError("the embedded stack cannot be drilled yet; use ON=compose")
    rig = ComposeRig()
    rig.mend()
    try:
        yield rig
    finally:
        rig.mend()


def _run(
    rig: Rig,
    plan: list[tuple[Kind, int]],
    session: Session,
    *,
    say: Callable[[str], object],
    tell: Callable[[str], object],
) -> None:
    """Do a plan; what is found is noted in the session."""
    watch = Watch(rig)
    try:
        drill = Drill(rig, watch, session.rate, full=session.full, say=lambda text: say(text))
        control = drill.control()
        session.results.append(control)
        tell(report.line(control))
        if not control.passed:
            session.broken_off = "not even without a fault everything holds: nothing was broken"
            return
        for kind, times in plan:
            reason = rig.why_not(kind.name)
            if reason:
                session.skipped[kind.name] = reason
                tell(f"{kind.name}: skipped: {reason}")
                continue
            for number in range(1, times + 1):
                session.results.append(_once(rig, drill, kind, number))
                tell(report.line(session.results[-1]))
    finally:
        watch.close()


def _once(rig: Rig, drill: Drill, kind: Kind, number: int) -> Result:
    try:
        return drill.once(kind, number)
    except StackError as error:
        rig.mend()
        return Result(kind=kind.name, round=number, target="", error=str(error))


if __name__ == "__main__":
    sys.exit(main())
