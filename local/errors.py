"""What can go wrong while the stack starts or stops, said in one line."""

from __future__ import annotations

from pathlib import Path


class StackError(Exception):
    """A failure a person has to know about: who failed, why, and which log tells more."""

    def __init__(self, reason: str, *, process: str | None = None, log: Path | None = None) -> None:
        super().__init__(f"{process}: {reason}" if process else reason)
        self.process = process
        self.log = log


def last_lines(path: Path, count: int = 15) -> list[str]:
    """The last lines of a log, or nothing when there is no log."""
    try:
        with path.open("rb") as log:
            log.seek(0, 2)
            log.seek(max(0, log.tell() - 65536))
            return log.read().decode("utf-8", "replace").splitlines()[-count:]
    except OSError:
        return []
