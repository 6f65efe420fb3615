"""Commands of the services, such as `migrate`, run beside the supervised processes."""

from __future__ import annotations

import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Self

from local.errors import StackError
from local.launch import PROCESS, STACK
from local.services import Services
from local.settings import REPOSITORY, Settings, inherited_environment


class CommandLine:
    """One loaded service that runs commands in a `with` block. Used by one thread at a time."""

    def __init__(self, settings: Settings, services: Services, service: str) -> None:
        self._name = f"{service}-commands"
        self._log: Path = settings.logs / f"{self._name}.log"
        marks = {STACK: str(settings.feira_home), PROCESS: self._name}
        with self._log.open("wb") as log:
            self._running = subprocess.Popen(
                [sys.executable, "-m", "local.flask_commands", service],
                cwd=REPOSITORY,
                env=inherited_environment() | services.environment(service, self._name) | marks,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                bufsize=1,
                # A Ctrl-C in the middle of a migration is for us to handle.
                start_new_session=True,
            )

    def run(self, command: str) -> None:
        """Run one command to its end; raises StackError with the log if it fails."""
        assert self._running.stdin and self._running.stdout
        answer = ""
        try:
            print(command, file=self._running.stdin, flush=True)
            answer = self._running.stdout.readline().strip()
        except OSError:
            pass  # It died; its log tells why.
        if answer != "0":
            reason = f"{command} failed" if answer else f"ended before {command} was done"
            raise StackError(reason, process=self._name, log=self._log)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Let it end, or end it at once after a failure; a half-done transaction is undone."""
        assert self._running.stdin and self._running.stdout
        if kind is not None:
            self._running.kill()
        with suppress(OSError):
            self._running.stdin.close()
        self._running.wait()
        self._running.stdout.close()
