"""What holds a stack: the `make run` in somebody's terminal, and the ports that it was given."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import psutil

from local.settings import Settings, read_settings
from local.stack import Stack


class Interrupted(BaseException):
    """A signal asked `make run` to end."""


@contextmanager
def interruptible(*stacks: Stack) -> Iterator[None]:
    """The first signal ends the start or the watch; a second one cuts the stopping short."""
    first: list[float] = []

    def handle(number: int, frame: FrameType | None) -> None:
        if not first:
            first.append(time.monotonic())
            raise Interrupted
        # What runs us may pass on the signal that the terminal has sent us already.
        if time.monotonic() - first[0] > 1:
            for stack in stacks:
                stack.hurry.set()

    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    before = {number: signal.signal(number, handle) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def foreground(settings: Settings) -> Iterator[None]:
    """Leave word of this process, so that `make stop` can ask it to end."""
    path = _word(settings)
    me = psutil.Process()
    path.write_text(json.dumps({"pid": me.pid, "created": me.create_time()}), "utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _word(settings: Settings) -> Path:
    return settings.run / "foreground.json"


def foreground_process(settings: Settings) -> psutil.Process | None:
    """The `make run` that holds this stack, if it is alive."""
    try:
        noted = json.loads(_word(settings).read_text("utf-8"))
        process = psutil.Process(noted["pid"])
    except (OSError, ValueError, KeyError, psutil.Error):
        return None
    return process if process.create_time() == noted["created"] else None


def recorded(settings: Settings) -> Stack | None:
    """The stack that runs in this clone, at the ports that it was started with."""
    try:
        ports = json.loads((settings.run / "ports.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    stack = Stack(read_settings(feira_home=settings.feira_home, **ports))
    return stack if stack.running() else None
