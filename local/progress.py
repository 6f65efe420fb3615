"""What a person sees while the stack starts: one line for each thing done, with its time."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.status import Status


class Silent:
    """Says nothing; for tests."""

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Something that takes a while."""
        yield

    def say(self, text: str) -> None:
        """A line."""


class Progress(Silent):
    """Prints steps as they end; on a terminal the running ones are shown with a spinner.

    Steps may run at the same time in several threads.
    """

    def __init__(self, started: float | None = None) -> None:
        self.console = Console(highlight=False, soft_wrap=True)
        self._started = started if started is not None else time.time()
        self._running: list[str] = []
        self._lock = threading.Lock()
        self._status: Status | None = None

    @property
    def seconds(self) -> float:
        """Time since the start began."""
        return time.time() - self._started

    @contextmanager
    def step(self, text: str) -> Iterator[None]:
        """Show `text` as running, then as done unless it raised."""
        began = time.monotonic()
        self._change(begin=text)
        try:
            yield
        except BaseException:
            self._change(end=text)
            raise
        self._change(end=text)
        self.say(
            f"[dim]{self.seconds:6.1f} s[/]  {text} [dim]({time.monotonic() - began:.1f} s)[/]"
        )

    def say(self, text: str) -> None:
        """Print one line (rich markup)."""
        self.console.print(text)
        sys.stdout.flush()

    def say_plain(self, text: str) -> None:
        """Print text as it is, brackets included."""
        self.say(escape(text))

    def _change(self, begin: str | None = None, end: str | None = None) -> None:
        with self._lock:
            if begin is not None:
                self._running.append(begin)
            if end is not None:
                self._running.remove(end)
            self._show()

    def _show(self) -> None:
        if not self.console.is_terminal:
            return
        if not self._running:
            if self._status:
                self._status.stop()
                self._status = None
            return
        text = ", ".join(self._running)
        if self._status is None:
            self._status = self.console.status(text)
            self._status.start()
        else:
            self._status.update(text)
