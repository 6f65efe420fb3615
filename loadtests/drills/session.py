"""A session: one run without a fault, then every drill of a plan on the same system."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from loadtests.drills import report
from loadtests.drills.drill import Drill
from loadtests.drills.kinds import Kind
from loadtests.drills.report import Session
from loadtests.drills.rig import Rig
from loadtests.drills.verdict import Result
from loadtests.drills.watch import Watch
from local.errors import StackError


class Teller(Protocol):
    """Who is told what goes on."""

    def begin(self, what: str) -> None:
        """A drill begins."""
        ...

    def say(self, text: str) -> None:
        """What is done at the moment."""
        ...

    def end(self, result: str, drills: int = 1) -> None:
        """A result, and how many of the planned drills it stands for."""
        ...


def plan(kinds: Sequence[Kind], times: int | None, *, full: bool) -> list[tuple[Kind, int]]:
    """How often each kind is done: `times`, else once, or as often as the promises say."""
    return [(kind, times or (kind.full_times if full else 1)) for kind in kinds]


def run(rig: Rig, planned: Sequence[tuple[Kind, int]], session: Session, teller: Teller) -> None:
    """Do a plan and note what is found in the session. What is broken is mended in any case.

    Raises StackError when not even the run without a fault could be done.
    """
    watch = Watch(rig)
    try:
        drill = Drill(rig, watch, session.rate, full=session.full, say=teller.say)
        teller.begin("control")
        _note(session, teller, drill.control())
        if not session.passed:
            session.broken_off = "without a fault not everything holds, so nothing was broken"
            return
        for kind, times in planned:
            reason = rig.why_not(kind.name)
            if reason:
                session.skipped[kind.name] = reason
                teller.end(f"{kind.name}: skipped: {reason}", times)
                continue
            for number in range(1, times + 1):
                teller.begin(f"{kind.name} {number}/{times}")
                _note(session, teller, _once(rig, drill, kind, number))
    finally:
        watch.close()


def _note(session: Session, teller: Teller, result: Result) -> None:
    session.results.append(result)
    teller.end(report.line(result))


def _once(rig: Rig, drill: Drill, kind: Kind, number: int) -> Result:
    try:
        return drill.once(kind, number)
    except StackError as error:
        rig.mend()
        return Result(kind=kind.name, round=number, target="", error=str(error))
