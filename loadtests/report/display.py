"""What a person sees while a report is made: how far it is, and how long it still takes."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Self

from rich.console import Console, RenderableType
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

from loadtests.report.document import Chapter
from loadtests.report.plan import Plan

# Of starting and ending the system that is measured.
START_SECONDS = 25.0


class _Bar(Progress):
    """Goes on by itself within what the chapter under way is expected to take."""

    moving = staticmethod(lambda: None)

    def get_renderables(self) -> Iterable[RenderableType]:
        self.moving()
        return super().get_renderables()


class Display:
    """A line at the bottom of a terminal; elsewhere only what has ended is printed."""

    def __init__(self, console: Console, plans: Sequence[Plan], known: Mapping[str, float]) -> None:
        """Say how long it will take.

        Args:
            known: seconds that chapters took last time, which says more than what is usual.
        """
        self._console = console
        self._expected = {plan.name: known.get(plan.name) or plan.seconds for plan in plans}
        total = START_SECONDS + sum(self._expected.values())
        console.print(f"{len(plans)} chapters, about {_minutes(total)}", highlight=False)
        columns = SpinnerColumn(), BarColumn(24), TextColumn("{task.percentage:3.0f} %")
        texts = TextColumn("{task.fields[left]}"), TextColumn("{task.description}")
        self._bar = _Bar(*columns, *texts, console=console, transient=True)
        self._task = self._bar.add_task("", total=total, left="")
        self._bar.moving = self._move
        self._done, self._share = 0.0, START_SECONDS
        self._since, self._doing = time.monotonic(), ""

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def begin(self, plan: Plan) -> None:
        """A chapter begins."""
        self._done += self._share
        self._share, self._since = self._expected[plan.name], time.monotonic()
        self._doing = plan.title.en
        self.say("")

    def say(self, text: str) -> None:
        """What is done at the moment."""
        parts = filter(None, (self._doing, text))
        self._bar.update(self._task, description=escape(": ".join(parts)))

    def end(self, plan: Plan, chapter: Chapter) -> None:
        """A chapter has ended."""
        state = "not measured" if chapter.skipped else "done" if chapter.passed else "FAILED"
        line = f"{plan.title.en}: {state} ({chapter.seconds:.0f} s)"
        self._bar.console.print(f"{line} {chapter.error}".rstrip(), markup=False, soft_wrap=True)

    def _move(self) -> None:
        # Never quite to the end of a chapter that takes longer than expected.
        spent = min(time.monotonic() - self._since, 0.98 * self._share)
        total = START_SECONDS + sum(self._expected.values())
        left = f"{_minutes(total - self._done - spent)} left"
        self._bar.update(self._task, completed=self._done + spent, left=left)


def _minutes(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"
