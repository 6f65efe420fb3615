"""What the nodes of the cluster say of themselves, followed while a drill goes on."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from loadtests.drills.journal import UNIX_OFFSET
from loadtests.drills.rig import Rig

# A node that has said nothing for so long is not there.
_FRESH_SECONDS = 3.0
_RESTART_SECONDS = 0.5


@dataclass(frozen=True)
class View:
    """What one Patroni said at a moment of the monotonic clock.

    Attributes:
        role, state, timeline: of the node itself; empty and 0 when Patroni did not answer.
        holder: who holds the leader's lock, None when nobody does.
        asked_store: whether the store of locks could be asked for that.
        synchronous: nodes that must have a commit before it is acknowledged.
        failsafe: whether Patroni goes on without the store of locks.
    """

    at: float
    node: str
    role: str = ""
    state: str = ""
    timeline: int = 0
    streaming: bool = False
    holder: str | None = None
    asked_store: bool = False
    synchronous: tuple[str, ...] = ()
    failsafe: bool = False

    @property
    def leads(self) -> bool:
        """Whether this node takes writes."""
        return self.role == "primary" and self.state == "running"


def view_of(node: str, line: dict[str, Any]) -> View:
    """A line of `look`, understood."""
    own, members = line["own"], line["cluster"].get("members", [])
    roles = {str(each["name"]): each["role"] for each in members}
    return View(
        at=line["at"] - UNIX_OFFSET,
        node=node,
        role=own.get("role", ""),
        state=own.get("state", ""),
        timeline=own.get("timeline") or 0,
        streaming=own.get("replication_state") == "streaming",
        holder=next((name for name, role in roles.items() if role == "leader"), None),
        asked_store=bool(members),
        synchronous=tuple(name for name, role in roles.items() if role == "sync_standby"),
        failsafe=bool(own.get("failsafe_mode_is_active")),
    )


class Watch:
    """Follows every node of a rig until it is closed."""

    def __init__(self, rig: Rig) -> None:
        self._rig = rig
        self._over = threading.Event()
        self._running: dict[str, subprocess.Popen[str]] = {}
        self.views: list[View] = []
        self._threads = [
            threading.Thread(target=self._follow, args=(node,), daemon=True) for node in rig.nodes
        ]
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """End the followers."""
        self._over.set()
        for running in list(self._running.values()):
            running.kill()
        for thread in self._threads:
            thread.join(timeout=5)

    def forget(self) -> None:
        """Drop what was seen before now."""
        self.views = self.latest()

    def _follow(self, node: str) -> None:
        while not self._over.is_set():
            with subprocess.Popen(
                self._rig.watch_command(node),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            ) as running:
                self._running[node] = running
                assert running.stdout
                for line in running.stdout:
                    with suppress(ValueError):
                        self.views.append(view_of(node, json.loads(line)))
                running.kill()
            self._over.wait(_RESTART_SECONDS)

    def latest(self) -> list[View]:
        """The last view of each node that has said something lately."""
        last = {view.node: view for view in self.views}
        now = time.monotonic()
        return [view for view in last.values() if now - view.at < _FRESH_SECONDS]

    def primary(self) -> str | None:
        """The node that takes writes, by what is known now."""
        return next((view.node for view in self.latest() if view.leads), None)

    def whole(self) -> bool:
        """Whether there is a primary, and every other node is its synchronous standby."""
        return is_whole(self.latest(), self._rig.nodes)

    def first(self, after: float, wanted: Callable[[View], bool]) -> float | None:
        """When a view that is wanted was seen first after a moment."""
        return next((view.at for view in self.views if view.at > after and wanted(view)), None)


def is_whole(views: Sequence[View], nodes: Sequence[str]) -> bool:
    """Whether these views, one a node, are those of a cluster that lacks nothing."""
    leaders = [view for view in views if view.leads]
    followers = [view for view in views if view.role == "replica" and view.streaming]
    if len(leaders) != 1 or len(views) != len(nodes) or len(followers) != len(nodes) - 1:
        return False
    return (
        all(view.asked_store and not view.failsafe for view in views)
        and {view.holder for view in views} == {leaders[0].node}
        and {view.timeline for view in views} == {leaders[0].timeline}
        and set(leaders[0].synchronous) == {view.node for view in followers}
    )
