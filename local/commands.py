"""The commands behind the Makefile: run, stop, status, logs."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg2

from local import branches, report, restoring
from local import logs as log_files
from local.errors import StackError
from local.foreground import (
    Interrupted,
    foreground,
    foreground_process,
    interruptible,
    recorded,
)
from local.launch import belongings
from local.progress import Progress
from local.settings import Settings, read_settings
from local.stack import Stack

_WATCH_SECONDS = 2.0


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
