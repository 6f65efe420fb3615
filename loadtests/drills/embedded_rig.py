"""Drills on an embedded stack: by signals, and by dropping packets."""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any

from loadtests.drills.commits import Committer
from loadtests.drills.partition import LOOKOUT, Partition
from local.audit import audit
from local.errors import StackError
from local.launch import belongings
from local.stack import Stack

_LOOK = Path(__file__).with_name("look.py")
_CATALOG = ("catalog-1", "catalog-2")
_NOT_SERVICES = {"gateway", "supervisor", "etcd", "redis-carts", "redis-streams"}


class EmbeddedRig:
    """A stack that runs in this machine's processes."""

    dcs = "etcd"
    carts = "redis-carts"
    streams = "redis-streams"

    def __init__(self, stack: Stack) -> None:
        self._stack = stack
        self._home = stack.settings.feira_home
        self._partition = Partition(self._home)
        self._frozen: set[str] = set()
        # To the node that is cut off, from before it was.
        self._inside: Committer | None = None
        self.url = f"http://127.0.0.1:{stack.settings.port}"
        self.admin = (stack.settings.admin_email, stack.secrets.admin_password)
        self.nodes = tuple(stack.cluster.nodes)

    def why_not(self, kind: str) -> str | None:
        """Only root can drop packets."""
        return Partition.why_not() if kind == "primary-cut-off" else None

    def catalog_instances(self) -> list[str]:
        """Both of them."""
        return list(_CATALOG)

    def address(self, instance: str) -> str:
        """Where it listens."""
        return f"127.0.0.1:{self._stack.services.ports[instance]}"

    def writers(self) -> set[str]:
        """The databases of the catalog and of orders are in the same cluster."""
        return {*_CATALOG, "orders"}

    def watch_command(self, node: str) -> list[str]:
        """From an address of this machine whose packets are never dropped."""
        port = self._stack.cluster.nodes[node].rest_port
        return [sys.executable, "-ISu", str(_LOOK), str(port), LOOKOUT]

    def kill(self, part: str) -> None:
        """Nobody of it gets a chance to say goodbye, nor the supervisor to start it again."""
        self._signal(part, signal.SIGSTOP)
        # The supervisor's own signal waits until it is continued, which it never is.
        self._stack.supervisor.stop_processes([part], lambda: False)
        limit = time.monotonic() + 10
        while self._signal(part, signal.SIGKILL):
            if time.monotonic() > limit:
                raise StackError("does not end", process=part)
            time.sleep(0.01)

    def crash_postmaster(self, node: str) -> None:
        """Kill the postmaster alone; its children see that themselves."""
        pid = self._stack.cluster.postmaster(node)
        if not pid:
            raise StackError("has no postmaster", process=node)
        os.kill(pid, signal.SIGKILL)

    def freeze(self, node: str) -> None:
        """Stop Patroni, the postmaster and all of its children."""
        self._frozen.add(node)
        self._signal(node, signal.SIGSTOP)
        # Those that were started meanwhile.
        self._signal(node, signal.SIGSTOP)

    def cut(self, node: str) -> None:
        """Drop what goes to the node and its own port of etcd, and what it asks other Patronis."""
        cluster = self._stack.cluster
        mine = cluster.nodes[node]
        self._inside = Committer(self._node_dsn(node), 5)
        peers = [each.rest_port for each in cluster.nodes.values() if each.name != node]
        ports = [mine.port, mine.rest_port, mine.dcs_port]
        self._partition.cut(ports, peers, [self._inside.local_port])

    def mend(self) -> None:
        """Remove the rules, continue what is stopped, start what is not there."""
        self._partition.heal()
        if self._inside:
            self._inside.close()
            self._inside = None
        for node in list(self._frozen):
            self._signal(node, signal.SIGCONT)
            self._frozen.discard(node)
        for name, state in self._stack.supervisor.states().items():
            if not state.pid:
                self._stack.supervisor.start_process(name)

    def acknowledges(self, node: str, seconds: float) -> bool | None:
        """Commit at the node's own port, or on the connection that the cut has spared."""
        try:
            if self._inside:
                return self._inside.acknowledged(seconds)
            committer = Committer(self._node_dsn(node), seconds)
        except OSError:
            return None
        try:
            return committer.acknowledged(seconds)
        except OSError:
            return False
        finally:
            committer.close()

    def _node_dsn(self, node: str) -> str:
        port = self._stack.cluster.nodes[node].port
        password = self._stack.secrets.catalog_password
        return f"postgresql://catalog:{password}@127.0.0.1:{port}/catalog"

    def _signal(self, part: str, number: signal.Signals) -> int:
        """Send a signal to every process of a part; to how many."""
        pids = list(belongings(self._home, part))
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)
        return len(pids)

    def service_lines(self, since: float) -> Iterable[dict[str, Any]]:
        """From the log of every service and background process."""
        for name in self._stack.supervisor.states():
            if name not in _NOT_SERVICES and name not in self.nodes:
                for line in self._lines(name):
                    if datetime.fromisoformat(line["timestamp"]).timestamp() >= since:
                        yield line

    def gateway_lines(self, since: float) -> Iterable[dict[str, Any]]:
        """From the access log."""
        return [line for line in self._lines("gateway") if line["unix"] >= since]

    def _lines(self, process: str) -> Iterable[dict[str, Any]]:
        """JSON lines of a log and of the one before it, if it was rotated."""
        log = self._stack.settings.logs / f"{process}.log"
        for path in (log.with_name(f"{log.name}.1"), log):
            with suppress(FileNotFoundError), path.open(encoding="utf-8", errors="replace") as text:
                for line in text:
                    if line.startswith("{"):
                        with suppress(ValueError):
                            yield json.loads(line)

    def audit(self) -> tuple[bool, str]:
        """As `make audit` does it."""
        lines: list[str] = []
        stack = self._stack
        status = audit(
            stack.dsn("auditor", "catalog"), stack.dsn("auditor", "orders"), say=lines.append
        )
        return status == 0, "\n".join(lines)
