"""What a person sees while drills go on: what is done at the moment, and a line for each result."""

from __future__ import annotations

from typing import Self

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from loadtests.drills.kinds import Kind


class Display:
    """A line at the bottom of a terminal; elsewhere only results are printed."""

    def __init__(self, console: Console, plan: list[tuple[Kind, int]]) -> None:
        self._doing = ""
        self._progress = Progress(
            SpinnerColumn(),
            BarColumn(20),
            TextColumn("{task.completed}/{task.total}"),
            TimeElapsedColumn(),
            TextColumn("{task.description}"),
            console=console,
            transient=True,
        )
        # One without a fault comes first.
        self._task = self._progress.add_task("", total=1 + sum(times for _, times in plan))

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def begin(self, what: str) -> None:
        """Name the drill that begins."""
        self._doing = what
        self.say("")

    def say(self, text: str) -> None:
        """What is done at the moment."""
        parts = filter(None, (self._doing, text))
        self._progress.update(self._task, description=escape(": ".join(parts)))

    def end(self, result: str, drills: int = 1) -> None:
        """A result, and how many of the planned drills it stands for."""
        self._progress.console.print(result, markup=False, soft_wrap=True)
        self._progress.advance(self._task, drills)
