"""A branch in a process of its own: `python -m tests.branches.child`.

Reads a line of JSON that says what it is, then commands, one a line, each with a number that its
answer has too. It ends with its input: no branch outlives the tests.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from typing import Any

from tests.branches.rig import Faults, House, Link, Way

_lock = threading.Lock()


def main() -> None:
    """Serve until the input ends."""
    import chassis.outbox
    import chassis.replication.relay

    chassis.replication.relay.POLL_SECONDS = 0.05
    chassis.outbox.CHECK_SECONDS = 0.5
    told = json.loads(sys.stdin.readline())
    peers: dict[str, list[Any]] = told["peers"]
    links = {peer: Link(port, host) for peer, (host, port) in peers.items()} if told["bad"] else {}
    ways = links or {peer: Way(f"http://{host}:{port}") for peer, (host, port) in peers.items()}
    house = House(told["name"], told["dsn"], told["port"], ways, host=told["host"])
    for link in links.values():
        link.faults = Faults(**told["faults"])
    house.deliver()
    _say({"number": 0, "answer": os.getpid()})
    for line in sys.stdin:
        command = json.loads(line)
        threading.Thread(target=_do, args=(house, links, command), daemon=True).start()
    # Whoever is in the middle of something is not waited for.
    os._exit(0)


def _do(house: House, links: dict[str, Link], command: dict[str, Any]) -> None:
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
        _say({"number": number, "answer": answer})
    except Exception as error:
        _say({"number": number, "error": type(error).__name__, "said": str(error)[:300]})


def _say(document: dict[str, Any]) -> None:
    with _lock:
        sys.stdout.write(json.dumps(document) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
