"""Branches in processes of their own: `python -m tests.branches.child` makes them by forking.

Loading a catalog takes seconds of a busy machine, so it is done once. On standard input, a socket,
comes a packet of JSON for each branch with the descriptor of a socket, and its process id is
the answer. On that socket the branch takes commands, a line of JSON each, with a number that the
answer has too. Each process ends with its socket: none outlives the tests.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import threading
from collections.abc import Callable
from typing import Any

import chassis.outbox
import chassis.replication.relay
from tests.branches.links import Faults, Link, Way
from tests.branches.rig import House

CLONE_NEWNET = 0x40000000
Say = Callable[[dict[str, Any]], None]


def main() -> None:
    """Fork until the tests end."""
    chassis.replication.relay.POLL_SECONDS = 0.05
    chassis.outbox.CHECK_SECONDS = 0.5
    # Nobody waits for those that end.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    with socket.socket(fileno=0) as control:
        while True:
            packet, (*descriptors,), _, _ = socket.recv_fds(control, 1 << 16, 1)
            if not packet:
                return
            if (pid := os.fork()) == 0:
                control.close()
                _serve(json.loads(packet), socket.socket(fileno=descriptors[0]))
            os.close(descriptors[0])
            control.send(str(pid).encode())


def _serve(told: dict[str, Any], talk: socket.socket) -> None:
    if told["namespace"]:
        namespace = os.open(told["namespace"], os.O_RDONLY)
        if ctypes.CDLL(None, use_errno=True).setns(namespace, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    peers: dict[str, list[Any]] = told["peers"]
    links = {peer: Link(port, host) for peer, (host, port) in peers.items()} if told["bad"] else {}
    ways = links or {peer: Way(f"http://{host}:{port}") for peer, (host, port) in peers.items()}
    house = House(told["name"], told["dsn"], told["port"], ways, host=told["host"])
    for link in links.values():
        link.faults = Faults(**told["faults"])
    house.deliver()
    lock = threading.Lock()

    def say(document: dict[str, Any]) -> None:
        with lock:
            talk.sendall(json.dumps(document).encode() + b"\n")

    say({"number": 0, "answer": "serves"})
    for line in talk.makefile("r"):
        given = (house, links, json.loads(line), say)
        threading.Thread(target=_do, args=given, daemon=True).start()
    # Whoever is in the middle of something is not waited for.
    os._exit(0)


def _do(house: House, links: dict[str, Link], command: dict[str, Any], say: Say) -> None:
    number, name, given = command["number"], command["command"], command["given"]
    try:
        answer: Any = None
        if name == "faults":
            for link in links.values():
                link.faults = Faults(**given)
        elif name == "send":
            answer = house.send(**given)
        elif name == "let_go":
            answer = sum(link.let_go() for link in links.values())
        elif name == "requests":
            answer = sum(link.requests for link in links.values())
        elif name == "errors":
            answer = [repr(error) for error in house.errors]
        say({"number": number, "answer": answer})
    except Exception as error:
        say({"number": number, "error": type(error).__name__, "said": str(error)[:300]})


if __name__ == "__main__":
    main()
