"""Branches as processes that can be killed, on a network that can be cut.

What a test does to a branch it does in its own process, as one more instance of its catalog; what
branches say to each other is said by their own processes.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from typing import Any
from urllib.parse import urlsplit

from local.settings import REPOSITORY, inherited_environment
from tests.branches.databases import fresh_database
from tests.branches.links import HERE, Faults, Way
from tests.branches.network import Network, NoNetwork
from tests.branches.rig import House, free_port
from tests.postgres_server import PostgresServer

_SECONDS = 60.0


class Died(Exception):
    """The process ended before it answered: nobody knows what it had done."""


class Said(Exception):
    """The process answered with an error; its kind is the first argument."""


class Forks:
    """The process that makes branches."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._lock = threading.Lock()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.branches.child"],
                cwd=REPOSITORY,
                env=inherited_environment()
                | {"PYTHONPATH": f"{REPOSITORY}:{REPOSITORY / 'microservices'}"},
                stdin=theirs.fileno(),
            )

    def make(self, told: dict[str, Any], talk: socket.socket) -> int:
        """Fork a branch that talks on a socket; its process id."""
        with self._lock:
            socket.send_fds(self._control, [json.dumps(told).encode()], [talk.fileno()])
            return int(self._control.recv(32))

    def close(self) -> None:
        """Make no more."""
        self._control.close()
        self._process.kill()
        self._process.wait()


class Child:
    """One process of a branch."""

    def __init__(self, forks: Forks, told: dict[str, Any]) -> None:
        """Start it; `wait` until it serves."""
        self._waiting: dict[int, Future[Any]] = {0: Future()}
        self._number = 0
        self._lock = threading.Lock()
        self._talk, theirs = socket.socketpair()
        with theirs:
            self._pid = forks.make(told, theirs)
        self._listening = threading.Thread(target=self._listen, daemon=True)
        self._listening.start()

    def _listen(self) -> None:
        with suppress(OSError), self._talk.makefile("r") as lines:
            for line in lines:
                document = json.loads(line)
                with self._lock:
                    future = self._waiting.pop(document["number"])
                if "error" in document:
                    future.set_exception(Said(document["error"], document["said"]))
                else:
                    future.set_result(document["answer"])
        with self._lock:
            left, self._waiting = self._waiting, {}
            self._number = -1
        for future in left.values():
            future.set_exception(Died())

    def wait(self) -> None:
        """Return when it serves."""
        with self._lock:
            serving = self._waiting.get(0)
        if serving:
            serving.result(_SECONDS)

    def ask(self, command: str, given: Any = None) -> Any:
        """Have it do something. Raises Died, Said."""
        future: Future[Any] = Future()
        with self._lock:
            if self._number < 0:
                raise Died
            self._number += 1
            number = self._number
            self._waiting[number] = future
            document = {"number": number, "command": command, "given": given}
            with suppress(OSError):
                self._talk.sendall(json.dumps(document).encode() + b"\n")
        return future.result(_SECONDS)

    def kill(self) -> None:
        """SIGKILL, in whatever it is doing."""
        if self._listening.is_alive():
            os.kill(self._pid, signal.SIGKILL)
        self._listening.join()
        self._talk.close()


class Apart:
    """Some branches, each with a process, and what is between them."""

    def __init__(
        self, server: PostgresServer, names: Sequence[str], network: Network | None
    ) -> None:
        self.network = network
        self.houses: dict[str, House] = {}
        self.dropped = 0
        self._faults = Faults()
        ports = {name: free_port() for name in names}
        addresses = network.addresses if network else dict.fromkeys(names, HERE)
        self._told: dict[str, dict[str, Any]] = {}
        for name in names:
            peers = {other: (addresses[other], ports[other]) for other in names if other != name}
            ways = {other: Way(f"http://{host}:{port}") for other, (host, port) in peers.items()}
            dsn = fresh_database(server, "catalog")
            self.houses[name] = House(name, dsn, None, ways)
            self._told[name] = {
                "name": name,
                "dsn": server.local_dsn(urlsplit(dsn).path.strip("/")),
                "host": addresses[name],
                "port": ports[name],
                "peers": peers,
                "namespace": network.space(name) if network else "",
            }
        self.children: dict[str, Child] = {}
        self._forks = Forks()

    def open(self, *, bad: bool = False) -> None:
        """Start all processes, unless those that run are such ones.

        Args:
            bad: whether what they send passes a proxy that can be bad to it. Where there is no
                network to cut, the proxy is there in any case.
        """
        bad = bad or self.network is None
        if self.children and all(told["bad"] == bad for told in self._told.values()):
            return
        for child in self.children.values():
            child.kill()
        for told in self._told.values():
            told["bad"] = bad
        with ThreadPoolExecutor() as pool:
            list(pool.map(self.start, self.houses))

    def start(self, name: str) -> None:
        """Start the process of a branch, and wait until it serves."""
        told = self._told[name] | {"faults": asdict(self._faults)}
        self.children[name] = Child(self._forks, told)
        self.children[name].wait()

    def faults(self, faults: Faults) -> None:
        """What the proxies do from now on."""
        self._faults = faults
        for child in self.children.values():
            child.ask("faults", asdict(faults))

    def cut(self, *pairs: tuple[str, str]) -> None:
        """Let nothing pass between these, or between all."""
        if self.network is None:
            self.faults(Faults(cut=True))
            return
        names = list(self.houses)
        every = [(one, other) for n, one in enumerate(names) for other in names[n + 1 :]]
        for pair in pairs or every:
            self.network.cut(*pair)

    def heal(self) -> None:
        """Let everything pass everywhere."""
        if self.network is not None:
            self.dropped += self.network.heal()
        self.faults(Faults())

    def sum_of(self, command: str) -> int:
        """What all processes together answer to `requests` or `let_go`."""
        return sum(child.ask(command) for child in self.children.values())

    def errors(self) -> list[str]:
        """What went wrong in the duties of any process."""
        return [error for child in self.children.values() for error in child.ask("errors")]

    def agree(self) -> bool:
        """Whether all branches have the same view."""
        views = [house.view() for house in self.houses.values()]
        return all(view == views[0] for view in views)

    def close(self) -> None:
        """End everything."""
        for child in self.children.values():
            child.kill()
        self._forks.close()
        for house in self.houses.values():
            house.close()


@contextmanager
def apart(server: PostgresServer, *names: str) -> Iterator[tuple[Apart, str]]:
    """Branches as processes, and what is between them in words; not started yet."""
    network: Network | None = None
    try:
        network = Network(names)
        between = "namespaces and iptables"
    except NoNetwork as lack:
        between = f"a proxy, for want of a network to cut ({lack})"
    found = Apart(server, names, network)
    try:
        yield found, between
    finally:
        found.close()
        if network is not None:
            network.close()
