"""Where a report is measured: an embedded stack or a Compose project, each of the report's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Protocol

from loadtests.drills.rig import Rig
from loadtests.own_stack import own_stack
from loadtests.report.compose_place import ComposePlace, own_project
from loadtests.report.embedded_place import EmbeddedPlace
from local.progress import Silent

Say = Callable[[str], None]

# Accounts are made at the start of some chapters; what a hash costs is not what they measure. A
# token has to last for a chapter.
SERVICES = {"BCRYPT_ROUNDS": "4", "ACCESS_TOKEN_SECONDS": "7200"}


class Place(Protocol):
    """A system that a report may ask, load, scale and break."""

    name: str
    url: str
    admin: tuple[str, str]
    # One instance of the catalog past the gateway, where there is a way to it.
    catalog_url: str | None

    def rig(self) -> Rig:
        """What drills break."""
        ...

    def versions(self) -> dict[str, str]:
        """Of the servers that run, by name."""
        ...

    def scale(self, service: str, instances: int) -> None:
        """Have so many instances of catalog, cart or orders behind the gateway, and no more.

        Raises StackError when they do not become ready.
        """
        ...

    def cpu_seconds(self) -> dict[str, float] | None:
        """CPU time so far, by group of processes; None where it cannot be seen from here."""
        ...


@contextmanager
def open_place(on: str, steps: Silent) -> Iterator[Place]:
    """Start one (`embedded` or `compose`); it is gone afterwards. Raises StackError."""
    if on == "compose":
        with own_project(SERVICES) as project:
            yield ComposePlace(project)
        return
    limits = {"connections_per_address": 4096, "service_environment": SERVICES}
    with own_stack("report", steps, **limits) as stack:
        place = EmbeddedPlace(stack)
        try:
            yield place
        finally:
            place.close()
