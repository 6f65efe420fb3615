"""CPU time by process group, from /proc: children, threads and background processes included."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Process:
    """One line of the process table; `seconds` holds what its ended children took, too."""

    pid: int
    parent: int
    name: str
    seconds: float


@dataclass(frozen=True)
class Machine:
    """CPU seconds of the whole machine since it started."""

    work: float
    stolen: float


def parse_process(text: str) -> Process:
    """One /proc/<pid>/stat (proc(5)). Its name may hold spaces and parentheses."""
    head, _, rest = text.rpartition(") ")
    pid, _, name = head.partition(" (")
    fields = rest.split()
    ticks = sum(int(field) for field in fields[11:15])
    return Process(int(pid), int(fields[1]), name, ticks / TICKS)


def parse_machine(text: str) -> Machine:
    """The first line of /proc/stat: user, nice, system, idle, iowait, irq, softirq, steal.

    Interrupts are left out of the work: no process is charged for them either.
    """
    user, nice, system, _, _, _, _, steal = (int(field) for field in text.split()[1:9])
    return Machine((user + nice + system) / TICKS, steal / TICKS)


def processes() -> list[Process]:
    """Every process there is now."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                found.append(parse_process(Path(entry.path, "stat").read_text("utf-8", "replace")))
            except OSError:
                continue  # it ended while we looked
    return found


def machine() -> Machine:
    """What the whole machine has done so far."""
    return parse_machine(Path("/proc/stat").read_text("ascii").partition("\n")[0])


def owners(table: list[Process], roots: Mapping[int, str]) -> dict[int, str]:
    """Process id to name: of itself in `roots`, else of its nearest ancestor there; no others."""
    known = {process.pid: process for process in table}
    found = {process.pid: _owner(process, known, roots) for process in table}
    return {pid: name for pid, name in found.items() if name is not None}


def attribute(table: list[Process], roots: Mapping[int, str]) -> dict[str, float]:
    """CPU seconds by name, of all processes that `owners` finds one for."""
    totals = dict.fromkeys(roots.values(), 0.0)
    named = owners(table, roots)
    for process in table:
        if process.pid in named:
            totals[named[process.pid]] += process.seconds
    return totals


def _owner(process: Process, known: Mapping[int, Process], roots: Mapping[int, str]) -> str | None:
    seen: set[int] = set()
    at: Process | None = process
    while at is not None and at.pid not in seen:
        if at.pid in roots:
            return roots[at.pid]
        seen.add(at.pid)
        at = known.get(at.parent)
    return None


def group_of(name: str) -> str:
    """The group that a process of the stack is reported in."""
    for start, group in _GROUPS.items():
        if name.startswith(start):
            return group
    return name


_GROUPS = {
    "gateway": "nginx",
    "static": "nginx",
    "catalog": "catalog",
    "cart": "cart",
    "orders": "orders",
    "postgres": "Postgres",
    "redis": "Redis",
    "patroni": "Patroni, etcd",
    "etcd": "Patroni, etcd",
    "flask": "bare Flask",
    "kept": "bare Flask",
    "bare": "bare Flask",
}
