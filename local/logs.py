"""Following the log files of all processes at once."""

from __future__ import annotations

import os
import time
from pathlib import Path

from local.errors import StackError

_LINES_BEFORE = 10


class _Tail:
    """One log file and how far it was read."""

    def __init__(self, path: Path) -> None:
        self.name = path.stem
        self._path = path
        self._file_number = 0
        self._offset = 0

    def new_lines(self) -> list[str]:
        """Whole lines written since the last call; a rotated log is read from its start."""
        try:
            with self._path.open("rb") as log:
                number, size = os.fstat(log.fileno()).st_ino, log.seek(0, os.SEEK_END)
                if number != self._file_number or size < self._offset:
                    self._offset = 0
                log.seek(self._offset)
                whole, newline, _ = log.read().rpartition(b"\n")
        except OSError:
            return []
        self._file_number = number
        self._offset += len(whole) + len(newline)
        return whole.decode("utf-8", "replace").splitlines()


def follow(logs: Path, process: str | None) -> None:
    """Print the last lines of the logs and then each new one, with the process before it.

    Returns never. Raises StackError when there is no log of that process.
    """
    tails = [_Tail(path) for path in sorted(logs.glob(f"{process or '*'}.log"))]
    if not tails:
        known = ", ".join(sorted(path.stem for path in logs.glob("*.log"))) or "none yet"
        raise StackError(f"no log of {process or 'any process'}; there are: {known}")
    width = max(len(tail.name) for tail in tails)
    first = True
    while True:
        for tail in tails:
            lines = tail.new_lines()
            for line in lines[-_LINES_BEFORE:] if first else lines:
                print(f"{tail.name:<{width}} | {line}", flush=True)
        first = False
        time.sleep(0.3)
