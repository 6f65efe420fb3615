"""Other programs' commands, with a bound on their time and a plain word when they fail."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path

from local.errors import StackError


@dataclass(frozen=True)
class Commands:
    """Where commands are run.

    Attributes:
        folder: their working directory.
        environment: in place of this process's own.
        seconds: the longest that one may take.
    """

    folder: Path
    environment: dict[str, str] | None
    seconds: float

    def run(self, *command: str) -> str:
        """What a command prints. Raises StackError with its last line if it fails."""
        done = self.attempt(*command)
        if done.returncode:
            reason = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise StackError(f"`{' '.join(command[:4])}` failed: {reason}")
        return done.stdout

    def attempt(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command that may fail. Raises StackError if it cannot be run or does not end."""
        try:
            return subprocess.run(
                command,
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
                timeout=self.seconds,
            )
        except FileNotFoundError:
            raise StackError(f"{command[0]} is not installed") from None
        except subprocess.TimeoutExpired:
            told = " ".join(command[:4])
            raise StackError(f"`{told}` took more than {self.seconds:g} s") from None
