"""A run: every chapter in turn, what it was measured on, and what came of it."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import psutil
import urllib3

from loadtests.bench import cpu, results
from loadtests.report.display import Display
from loadtests.report.document import Chapter, Document
from loadtests.report.place import Place, open_place
from loadtests.report.plan import Plan
from local.errors import StackError
from local.progress import Silent

MOMENT_SECONDS = 1.0
_PACKAGES = {
    "Flask": "flask",
    "SQLAlchemy": "sqlalchemy",
    "gunicorn": "gunicorn",
    "locust": "locust",
}


def begin(on: str, command: str) -> Document:
    """An empty report of this machine and this moment."""
    about = results.machine()
    memory = f"{psutil.virtual_memory().total / 2**30:.1f} GiB"
    machine: dict[str, Any] = {
        "processor": about["processor"],
        "cores": about["cores"],
        "memory": memory,
        "system": _system(),
    }
    return Document(
        stamp=datetime.now(UTC).strftime("%Y%m%d-%H%M%S"),
        system=on,
        commit=about["commit"],
        machine=machine,
        versions=_versions(),
        command=command,
        load=[round(os.getloadavg()[0], 1)],
        others=_others(),
    )


def _others() -> float:
    """What others take of the processors, and the host of them, over a moment."""
    before, began = cpu.machine(), time.monotonic()
    time.sleep(MOMENT_SECONDS)
    after, seconds = cpu.machine(), time.monotonic() - began
    taken = after.work - before.work + after.stolen - before.stolen
    return round(taken / seconds / (os.cpu_count() or 1), 2)


def measure(document: Document, plans: Sequence[Plan], display: Display) -> None:
    """Do the chapters; one that fails says so, and the others are done all the same.

    Raises StackError when the system that they are measured on does not start.
    """
    began = time.monotonic()
    with ExitStack() as opened:
        place: Place | None = None
        for plan in plans:
            if plan.measure and place is None:
                display.say("starting")
                place = opened.enter_context(open_place(document.system, Silent()))
                document.versions |= place.versions()
            if plan.alone and place is not None:
                display.say("stopping")
                opened.pop_all().close()
                place = None
            display.begin(plan)
            document.chapters.append(_done(plan, place, display))
            display.end(plan, document.chapters[-1])
    document.load.append(round(os.getloadavg()[0], 1))
    document.seconds = time.monotonic() - began


def _done(plan: Plan, place: Place | None, display: Display) -> Chapter:
    chapter, began = plan.chapter(), time.monotonic()
    try:
        if plan.measure and place:
            plan.measure(place, chapter, display.say)
        elif plan.alone:
            plan.alone(chapter, display.say)
    except (StackError, OSError, ValueError, urllib3.exceptions.HTTPError) as error:
        chapter.error = str(error) or repr(error)
    chapter.seconds = round(time.monotonic() - began, 1)
    return chapter


def _system() -> str:
    try:
        name = platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        name = platform.system()
    return f"{name}, {platform.system()} {platform.release()}"


def _versions() -> dict[str, str]:
    """Of what runs in Python; the servers are asked when they are there."""
    found = {name: version(package) for name, package in _PACKAGES.items()}
    return {"Python": platform.python_version()} | found
