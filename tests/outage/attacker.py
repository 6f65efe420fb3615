"""An attack on the gateway, as a program of its own: `python -m tests.outage.attacker KIND ...`.

In another process than the test, whose own requests it would otherwise slow down. It attacks until
its standard input is closed, then prints what it was answered as JSON.
"""

from __future__ import annotations

import http.client
import json
import socket
import sys
import threading
import time
import uuid
from collections import Counter
from contextlib import suppress

# What each slow client begins and never ends.
SLOW = (
    b"GET /api/products HTTP/1.1\r\nHost: x\r\nX-Slow: ",
    b"POST /api/carts HTTP/1.1\r\nHost: x\r\nContent-Length: 9000\r\n\r\n",
)
DRIP_SECONDS = 0.5

answers: Counter[str] = Counter()
stop = threading.Event()


def log_in(port: int, address: str) -> None:
    """Guess passwords, each of another account and as if from another address."""
    while not stop.is_set():
        connection = http.client.HTTPConnection("127.0.0.1", port, 30, (address, 0))
        with suppress(OSError, http.client.HTTPException):
            while not stop.is_set():
                name = uuid.uuid4().hex
                body = json.dumps({"email": f"{name}@example.com", "password": "wrong guess"})
                headers = {"Content-Type": "application/json"}
                connection.request("POST", "/auth/login", body, headers)
                answer = connection.getresponse()
                answer.read()
                answers[str(answer.status)] += 1
        connection.close()


def hurry(port: int, address: str) -> None:
    """Ask for products as fast as can be, claiming to be somebody else each time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, 30, (address, 0))
    number = 0
    while not stop.is_set():
        number += 1
        headers = {"X-Forwarded-For": f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"}
        try:
            connection.request("GET", "/api/products", headers=headers)
            answer = connection.getresponse()
            answer.read()
        except (OSError, http.client.HTTPException):
            connection.close()
            continue
        retry = " with Retry-After" if answer.getheader("Retry-After") else ""
        answers[f"{answer.status}{retry}"] += 1
    connection.close()


def dawdle(port: int, count: int, address: str) -> None:
    """Keep connections open with requests that never end; one that is closed is opened anew."""
    wires: dict[int, socket.socket] = {}
    while not stop.is_set():
        for number in range(count):
            try:
                if number not in wires:
                    wires[number] = socket.create_connection(("127.0.0.1", port), 5, (address, 0))
                    wires[number].sendall(SLOW[number % 2])
                    answers["opened"] += 1
                wires[number].sendall(b"a")
            except OSError:
                answers["closed by the gateway"] += 1
                wires.pop(number, socket.socket()).close()
        stop.wait(DRIP_SECONDS)
    for wire in wires.values():
        wire.close()


def main() -> None:
    """Attack until nobody wants it any more."""
    kind, port, count, address = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    if kind == "slow":
        threads = [threading.Thread(target=dawdle, args=(port, count, address))]
    else:
        work = {"login": log_in, "hurry": hurry}[kind]
        threads = [threading.Thread(target=work, args=(port, address)) for _ in range(count)]
    for thread in threads:
        thread.start()
    limit = time.monotonic() + 600
    sys.stdin.read()
    stop.set()
    for thread in threads:
        thread.join(max(0.0, limit - time.monotonic()))
    sys.stdout.write(json.dumps(answers))


if __name__ == "__main__":
    main()
