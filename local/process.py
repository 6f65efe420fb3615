"""What the supervisor has to know of one process."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum
from pathlib import Path


class Stage(IntEnum):
    """Processes are stopped from the last stage to the first."""

    LOCKS = 0
    STORES = 1
    SERVICES = 2
    GATEWAY = 3


@dataclass(frozen=True)
class Process:
    """One supervised process. Its environment may hold secrets; its command never does."""

    name: str
    command: list[str]
    stage: Stage
    directory: Path
    # Becomes another user; comes before everything else, the search for leftovers included.
    prefix: list[str] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=dict, repr=False)
    stop_signal: str = "TERM"
    stop_seconds: int = 10
    ready_url: str | None = None
    # A program that outlives a killed predecessor, and that this process takes over as it is.
    takes_over: str | None = None
