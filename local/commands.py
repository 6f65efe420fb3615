"""The commands behind the Makefile: run, stop, status, logs."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

import psutil
import psycopg2

from local import logs as log_files
from local import report, restoring
from local.errors import StackError
from local.launch import belongings
from local.progress import Progress
from local.settings import Settings, read_settings
from local.stack import Stack

_WATCH_SECONDS = 2.0


class Interrupted(BaseException):
    """A signal asked `make run` to end."""


def run() -> int:
    """Start the stack, show where it is, and keep it until Ctrl-C."""
    settings = read_settings()
    progress = Progress(settings.feira_started)
    existing = _open_or_starting(settings, progress)
    if existing is not None:
        progress.say("Feira is already running in this clone.")
        report.show_table(progress.console, existing)
        return 0
    stack = Stack(settings, progress)
    with interruptible(stack), foreground(settings):
        try:
            _start_and_watch(stack, progress)
        except Interrupted:
            progress.say("\nStopping (press Ctrl-C again to stop at once)")
            stack.down()
            progress.say("Stopped: no process of this clone is left.")
    return 0


def _start_and_watch(stack: Stack, progress: Progress) -> None:
    """Return when somebody else stopped the stack; start again if its supervisor was killed."""
    while True:
        stack.up()
        report.show_table(progress.console, stack)
        report.show_summary(progress, stack)
        if _watch(stack, progress):
            return
        progress.say("The supervisor was killed: starting everything again.")


def _watch(stack: Stack, progress: Progress) -> bool:
    """Tell of every process that came back; True when the stack was stopped in good order."""
    pids = {name: state.pid for name, state in stack.supervisor.states().items()}
    while True:
        time.sleep(_WATCH_SECONDS)
        status = stack.supervisor.reap()
        if status is not None:
            return status == 0
        with suppress(OSError):
            for name, state in stack.supervisor.states().items():
                if state.pid and state.pid != pids[name]:
                    log = stack.settings.logs / f"{name}.log"
                    progress.say(f"{name} had ended and was started again, see {log}")
                    pids[name] = state.pid


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
    path = _foreground_file(settings)
    me = psutil.Process()
    path.write_text(json.dumps({"pid": me.pid, "created": me.create_time()}), "utf-8")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _foreground_file(settings: Settings) -> Path:
    return settings.run / "foreground.json"


def foreground_process(settings: Settings) -> psutil.Process | None:
    """The `make run` that holds this stack, if it is alive."""
    try:
        noted = json.loads(_foreground_file(settings).read_text("utf-8"))
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


def _open_or_starting(settings: Settings, progress: Progress) -> Stack | None:
    """As `recorded`, but only if it is open; a start that is under way is waited for."""
    mine = Stack(settings)
    if mine.starting():
        with progress.step("Waited for another `make run` of this clone"):
            while mine.starting():
                time.sleep(0.2)
    found = recorded(settings)
    # What a start that was broken off has left is ended by the next one.
    return found if found is not None and found.is_open() else None


def stop() -> int:
    """Stop the stack of this clone, wherever it was started, and leave nothing."""
    settings = read_settings()
    progress = Progress()
    # Not at the top: branches are made of what is here.
    from local import branches

    if branches.stop(settings, progress):
        progress.say("Stopped: no process of the branches is left.")
        if not any(belongings(settings.feira_home)):
            return 0
    if not settings.feira_home.exists():
        progress.say("Feira is not running in this clone.")
        return 0
    holder = foreground_process(settings)
    if holder is not None:
        with (
            progress.step("Stopped by the `make run` that held it"),
            suppress(psutil.Error),
        ):
            holder.terminate()
            holder.wait(timeout=60)
    stack = recorded(settings) or Stack(settings)
    if holder is None and not any(belongings(settings.feira_home)):
        progress.say("Feira is not running in this clone.")
        return 0
    stack.progress = progress
    stack.down()
    left = list(belongings(settings.feira_home))
    if left:
        raise StackError(f"processes {left} do not end")
    progress.say("Stopped: no process of this clone is left.")
    return 0


def status() -> int:
    """Show every process with its state and memory, and whether the gateway serves."""
    settings = read_settings()
    console = Progress().console
    stack = recorded(settings)
    from local import branches

    for name, branch in branches.recorded(settings).items():
        console.print(f"branch {name}:")
        report.show_processes(console, branch)
        if stack is None:
            stack = branch
    if stack is None:
        console.print("Feira is not running in this clone.")
    elif stack.settings.feira_home == settings.feira_home:
        report.show_processes(console, stack)
    return 0


def audit() -> int:
    """Prove the invariants of stock and payment on the running stack: 0 if all hold, else 1."""
    stack = recorded(read_settings())
    if stack is None:
        raise StackError("Feira is not running in this clone; `make run` starts it")
    # Only this command needs it, and the others should start quickly.
    from local.audit import audit as check

    try:
        return check(stack.dsn("auditor", "catalog"), stack.dsn("auditor", "orders"))
    except psycopg2.OperationalError as error:
        reason = str(error).strip().splitlines()[0]
        raise StackError(f"the databases could not be read: {reason}") from None


def backup(parent: Path) -> int:
    """Copy the running stack into a folder of its own below `parent`."""
    settings = read_settings()
    restoring.refuse(settings)
    stack = recorded(settings)
    if stack is None:
        raise StackError("Feira is not running in this clone; `make run` starts it")
    from local.backup import backup as copy

    progress = Progress()
    folder = copy(stack, parent, progress)
    size = sum(file.stat().st_size for file in folder.iterdir())
    progress.say_plain(f"{folder}: {size / 1e6:.1f} MB")
    progress.say_plain("It holds personal data and password hashes, but nothing of secrets.env.")
    return 0


def restore(folder: Path, *, force: bool, closed: bool) -> int:
    """Put a backup where the next `make run` finds it; the stack must be stopped."""
    if closed:
        raise StackError(
            "CLOSED=1 is for ON=compose; without it a restore opens nothing, `make run` does"
        )
    settings = read_settings()
    if settings.feira_home.exists() and any(belongings(settings.feira_home)):
        raise StackError("Feira is running in this clone: `make stop` first")
    from local.backup import restore as put_back

    progress = Progress()
    with progress.step(f"{folder.name} proved and unpacked"):
        put_back(settings, Stack(settings).cluster, folder, force)
    progress.say("Restored: `make run` opens the shop, then `make audit` proves the books.")
    return 0


def logs(process: str | None) -> int:
    """Follow the logs of all processes, or of one, until Ctrl-C."""
    settings = read_settings()
    with suppress(KeyboardInterrupt):
        log_files.follow(settings.logs, process)
    return 0
