"""A network between branches that can really be cut: packets are dropped, and nobody is told.

Each branch has a network namespace, and a bridge in one of its own joins them, so that nothing of
the machine's own network changes. It takes root, ip and iptables; `Network` says what it lacks.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

PREFIX = "feira-test-"
_FOLDER = Path("/run/netns")
_SECONDS = 20.0


class NoNetwork(Exception):
    """This machine, or this user, cannot have one; the message says why."""


class Network:
    """Branches at addresses of their own, each in a namespace; `close` takes all of it away."""

    def __init__(self, names: Sequence[str]) -> None:
        """Raises NoNetwork, and leaves nothing then."""
        if os.geteuid() != 0:
            raise NoNetwork("not root")
        _remove_what_was_left()
        mine = f"{PREFIX}{os.getpid()}"
        self._hub = f"{mine}-hub"
        self._spaces = {name: f"{mine}-{name}" for name in names}
        self.addresses = {name: f"10.77.0.{number}" for number, name in enumerate(names, 1)}
        try:
            self._make()
        except BaseException:
            self.close()
            raise

    def _make(self) -> None:
        for space in (self._hub, *self._spaces.values()):
            _run("ip", "netns", "add", space)
            _run("ip", "-n", space, "link", "set", "lo", "up")
        _run("ip", "-n", self._hub, "link", "add", "bridge", "type", "bridge")
        _run("ip", "-n", self._hub, "link", "set", "bridge", "up")
        for name, space in self._spaces.items():
            # The name of an interface has 15 characters at most.
            plug = f"to-{name}"[:15]
            peer = ("peer", "name", "eth0", "netns", space)
            _run("ip", "-n", self._hub, "link", "add", plug, "type", "veth", *peer)
            _run("ip", "-n", self._hub, "link", "set", plug, "master", "bridge", "up")
            _run("ip", "-n", space, "addr", "add", f"{self.addresses[name]}/24", "dev", "eth0")
            _run("ip", "-n", space, "link", "set", "eth0", "up")
            self._iptables(name, "-L", "INPUT")

    def space(self, name: str) -> str:
        """The file of a branch's namespace."""
        return str(_FOLDER / self._spaces[name])

    def cut(self, one: str, other: str) -> None:
        """Drop every packet between two branches, both ways."""
        self._iptables(one, "-A", "INPUT", "-s", self.addresses[other], "-j", "DROP")
        self._iptables(one, "-A", "OUTPUT", "-d", self.addresses[other], "-j", "DROP")

    def lose(self, share: float) -> None:
        """Drop some of the packets that arrive anywhere, at random."""
        some = ("-m", "statistic", "--mode", "random", "--probability", str(share))
        for name in self._spaces:
            self._iptables(name, "-A", "INPUT", "-i", "eth0", *some, "-j", "DROP")

    def heal(self) -> int:
        """Let everything pass from now on; how many packets were dropped since the last time."""
        dropped = 0
        for name in self._spaces:
            listed = self._iptables(name, "-L", "-n", "-v", "-x")
            dropped += sum(int(n) for n in re.findall(r"(?m)^ *(\d+) +\d+ +DROP", listed))
            self._iptables(name, "-F")
        return dropped

    def _iptables(self, name: str, *arguments: str) -> str:
        inside = ("ip", "netns", "exec", self._spaces[name])
        return _run(*inside, "iptables", "--wait", "5", *arguments)

    def close(self) -> None:
        """Remove it; what still runs inside keeps its namespace until it ends."""
        for space in (self._hub, *self._spaces.values()):
            with suppress(NoNetwork):
                _run("ip", "netns", "delete", space)


def _run(*command: str) -> str:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=_SECONDS
        )
    except OSError as error:
        raise NoNetwork(f"{command[0]}: {error.strerror}") from None
    if done.returncode:
        said = (done.stderr.strip() or "failed").splitlines()[-1]
        raise NoNetwork(f"`{' '.join(command)}`: {said}")
    return done.stdout


def _remove_what_was_left() -> None:
    """Of test runs that were killed."""
    for each in _FOLDER.glob(f"{PREFIX}*") if _FOLDER.exists() else ():
        pid = each.name.removeprefix(PREFIX).split("-")[0]
        if not Path(f"/proc/{pid}").exists():
            with suppress(NoNetwork):
                _run("ip", "netns", "delete", each.name)
