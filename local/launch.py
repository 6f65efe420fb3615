"""Becomes one process of the stack: run by the supervisor as `python -I -S launch.py SPEC`.

SPEC is a JSON file with the command, its folder and its environment, so that secrets stand
neither on a command line nor in the supervisor's own configuration. Before that, whatever a killed
predecessor left behind is ended: an orphaned nginx worker would keep the port for ever.

Only the standard library and nothing of this package: it runs at every restart, in 20 ms.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

STACK = "FEIRA_STACK"
PROCESS = "FEIRA_PROCESS"

# These overwrite their environment with a title, so their folder has to tell whose they are.
_RETITLED = {"postgres", "nginx"}


def belongings(
    home: Path, process: str | None = None, *, but_not: str | None = None
) -> Iterator[int]:
    """Ids of the living processes of the stack in `home`, or of one process of it.

    Args:
        but_not: name of a program to leave out.
    """
    for entry in os.scandir("/proc"):
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        # It may end while we look, or belong to somebody else: then it is none of ours.
        with suppress(OSError, IndexError):
            if _belongs(Path(entry.path), home, process, but_not):
                yield int(entry.name)


def _belongs(entry: Path, home: Path, process: str | None, but_not: str | None) -> bool:
    name, _, rest = (entry / "stat").read_text("utf-8", "replace").rpartition(") ")
    program = name.partition("(")[2]
    if rest.split()[0] == "Z" or program == but_not:
        return False
    if program in _RETITLED:
        folder = (entry / "cwd").readlink()
        mine = folder.parent in (home / "data", home / "run")
        return mine and process in (None, folder.name)
    variables = (entry / "environ").read_bytes().split(b"\0")
    if f"{STACK}={home}".encode() not in variables:
        return False
    return process is None or f"{PROCESS}={process}".encode() in variables


def end_leftovers(
    home: Path,
    process: str | None = None,
    patience: float = 0,
    *,
    but_not: str | None = None,
) -> None:
    """End what is left of one process or of the whole stack; it is asked first if there is time.

    Args:
        patience: seconds before those that do not go are killed.
        but_not: name of a program that goes on.
    """
    began = time.monotonic()
    while pids := list(belongings(home, process, but_not=but_not)):
        waited = time.monotonic() - began
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGTERM if waited < patience else signal.SIGKILL)
        if waited > patience + 10:
            print(f"processes {pids} do not end", file=sys.stderr)
            return
        time.sleep(0.05)


def launch(*arguments: str) -> list[str]:
    """The command line of this program."""
    return [sys.executable, "-I", "-S", __file__, *arguments]


def become(path: str) -> None:
    """Replace this program by the one that the file describes."""
    spec = json.loads(Path(path).read_text("utf-8"))
    environment = {**os.environ, **spec["environment"]}
    if Path("/proc/self/stat").exists():
        home = Path(environment[STACK])
        end_leftovers(home, environment[PROCESS], but_not=spec.get("takes_over"))
    os.chdir(spec["directory"])
    # A PostgreSQL backend whose postmaster dies while it waits for the standby reads its standard
    # input next. From the supervisor's pipe nothing ever comes, so it would stay for good, and
    # with it the shared memory that keeps the node from starting again.
    with Path(os.devnull).open("rb") as nothing:
        os.dup2(nothing.fileno(), 0)
    os.execvpe(spec["command"][0], spec["command"], environment)  # noqa: S606 (this is the point)


if __name__ == "__main__":
    if sys.argv[1] == "--end":
        end_leftovers(Path(sys.argv[2]), patience=float(sys.argv[3]))
    else:
        become(sys.argv[1])
