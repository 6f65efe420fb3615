"""Cuts a node of the embedded cluster off, though all its peers are on the same machine.

Linux' packet filter drops what goes to or comes from the node's ports, in a chain of its own that
is removed as a whole.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import zlib
from collections.abc import Sequence
from pathlib import Path

from local.errors import StackError

# The drill itself looks at Patroni from here, where nothing is dropped.
LOOKOUT = "127.0.0.2"
_HOST = "127.0.0.1"


class Partition:
    """The rules of one stack. At most one cut at a time."""

    def __init__(self, home: Path) -> None:
        """The chain's name is made from the stack's folder, so leftovers are found again."""
        self._chain = f"FEIRA-DRILL-{zlib.crc32(str(home).encode()):08x}"

    @staticmethod
    def why_not() -> str | None:
        """Why nothing can be cut off here, if so."""
        if os.geteuid() != 0:
            return "only root may drop packets"
        if shutil.which("iptables") is None:
            return "iptables is not installed"
        done = _iptables("-L", "INPUT", "-n")
        return None if done.returncode == 0 else f"iptables does not work: {done.stderr.strip()}"

    def cut(self, ports: Sequence[int], peers: Sequence[int], spared: Sequence[int]) -> None:
        """Drop what concerns a node. Raises StackError.

        Args:
            ports: on which the node, and what is its alone, listens.
            peers: on which other nodes listen to it, but not to clients.
            spared: local ports of connections to it that are not dropped.
        """
        self.heal()
        rules: list[tuple[str, ...]] = [("-N", self._chain)]
        for port in spared:
            rules += [
                ("-A", self._chain, "-p", "tcp", side, str(port), "-j", "RETURN")
                for side in ("--sport", "--dport")
            ]
        for port in ports:
            rules += [
                ("-A", self._chain, "-p", "tcp", *only, side, str(port), "-j", "DROP")
                for side, only in (("--sport", ("-d", _HOST)), ("--dport", ("-s", _HOST)))
            ]
        rules += [
            ("-A", self._chain, "-p", "tcp", "-s", _HOST, "--dport", str(port), "-j", "DROP")
            for port in peers
        ]
        rules.append(("-I", "INPUT", "-i", "lo", "-j", self._chain))
        for rule in rules:
            done = _iptables(*rule)
            if done.returncode:
                self.heal()
                raise StackError(f"iptables {' '.join(rule)}: {done.stderr.strip()}")

    def heal(self) -> None:
        """Remove every rule there is, whoever made it."""
        if self.why_not():
            return
        while _iptables("-D", "INPUT", "-i", "lo", "-j", self._chain).returncode == 0:
            pass
        _iptables("-F", self._chain)
        _iptables("-X", self._chain)


def _iptables(*arguments: str) -> subprocess.CompletedProcess[str]:
    # -w: wait for whoever else changes the rules at the moment.
    return subprocess.run(
        ["iptables", "-w", "5", *arguments], check=False, capture_output=True, text=True
    )
