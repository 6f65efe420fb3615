"""Servers that a measurement starts beside the stack: what it is compared with, more instances."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from local.errors import StackError
from local.http_call import call
from local.launch import PROCESS, STACK
from local.services import MICROSERVICES
from local.settings import REPOSITORY, inherited_environment
from local.stack import Stack

Running = subprocess.Popen[bytes]

_SECONDS = 30.0


def start(
    stack: Stack, name: str, command: Sequence[str | Path], environment: Mapping[str, str], url: str
) -> Running:
    """A server that answers at `url`, to be ended with `end`.

    Raises StackError when it does not serve within half a minute; then nothing of it is left.
    """
    log = stack.settings.logs / f"{name}.log"
    marks = {STACK: str(stack.settings.feira_home), PROCESS: name}
    with log.open("wb") as output:
        running = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env={**inherited_environment(), **environment, **marks},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A Ctrl-C is for the measurement to handle.
            start_new_session=True,
        )
    limit = time.monotonic() + _SECONDS
    while not _serves(url):
        if running.poll() is not None or time.monotonic() > limit:
            end(running)
            raise StackError("does not serve", process=name, log=log)
        time.sleep(0.05)
    return running


def start_gunicorn(
    stack: Stack,
    name: str,
    app: str,
    port: int,
    path: str,
    environment: Mapping[str, str],
    *options: str,
) -> Running:
    """The same for an app that runs as the services do, but for these options of gunicorn."""
    configuration = str(MICROSERVICES / "gunicorn.conf.py")
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", configuration, *options]
    command = [*gunicorn, f"{app}:create_app()"]
    told = {**environment, "BIND": f"127.0.0.1:{port}"}
    return start(stack, name, command, told, f"http://127.0.0.1:{port}{path}")


def end(running: Running) -> None:
    """End a server, by force if it does not by itself."""
    running.terminate()
    try:
        running.wait(timeout=25)
    except subprocess.TimeoutExpired:
        running.kill()
        running.wait()


def _serves(url: str) -> bool:
    try:
        return call("GET", url, timeout=2).status == 200
    except OSError:
        return False
