"""The load generator: a process that drives some connections and costs little.

Raw sockets and epoll take a fraction of what the usual clients of Python do, so that the cores are
left to the servers. (wrk and oha take less still, but pip installs neither, and a purchase needs
answers read and requests made of them.)

It reads one job per line from its standard input, JSON, and answers each with one line.
"""

from __future__ import annotations

import json
import math
import select
import socket
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from loadtests.bench.figures import percentile
from loadtests.bench.flows import FLOWS, Answer, Flow, WrongAnswer

RECEIVE_BYTES = 1 << 18
SHARES = (50, 66, 75, 80, 90, 95, 98, 99, 100)
SILENCE_SECONDS = 30.0


def parse(data: bytes) -> Answer | None:
    """One whole HTTP/1.1 answer, or None while more of it has to come.

    Raises:
        ValueError: it is no such answer, or has more than one in it.
    """
    end = data.find(b"\r\n\r\n")
    if end < 0:
        return None
    head = data[:end].lower()
    if not head.startswith(b"http/1.1 "):
        raise ValueError(f"not an answer: {data[:40]!r}")
    status = int(head[9:12])
    body = data[end + 4 :]
    closes = b"\r\nconnection: close" in head
    pause = _number(head, b"\r\nretry-after: ")
    if b"\r\ntransfer-encoding: chunked" in head:
        whole = body.endswith(b"0\r\n\r\n")
        return Answer(status, _joined(body), closes, pause) if whole else None
    length = _number(head, b"\r\ncontent-length: ")
    if len(body) > length:
        raise ValueError("more than was announced")
    return Answer(status, body, closes, pause) if len(body) == length else None


def _number(head: bytes, name: bytes) -> int:
    """The number that a header field has; 0 without one."""
    at = head.find(name)
    return int(head[at + len(name) :].split(b"\r\n", 1)[0]) if at >= 0 else 0


def _joined(chunks: bytes) -> bytes:
    parts = []
    while chunks:
        size, _, rest = chunks.partition(b"\r\n")
        parts.append(rest[: int(size, 16)])
        chunks = rest[int(size, 16) + 2 :]
    return b"".join(parts)


@dataclass
class _Connection:
    address: tuple[str, int]
    flows: Iterator[Flow]
    socket: socket.socket = field(init=False)
    flow: Flow = field(init=False)
    began: int = 0
    received: bytes = b""
    request: bytes = b""

    def open(self) -> None:
        self.socket = socket.create_connection(self.address, timeout=SILENCE_SECONDS)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def begin(self, due: int) -> None:
        self.flow = next(self.flows)
        self.began = due
        self.socket.sendall(next(self.flow))


@dataclass
class Load:
    """What a job came to. Latencies are of whole flows, in nanoseconds."""

    latencies: list[int] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)
    seconds: float = 0.0
    cpu_seconds: float = 0.0

    def document(self) -> dict[str, Any]:
        """The line that is answered; p50 and p99 are in milliseconds, None without a success."""
        ordered = sorted(self.latencies)
        shares = {"p50": 0.5, "p99": 0.99}
        every = {share: percentile(ordered, share / 100) / 1e6 for share in SHARES if ordered}
        return {
            "count": len(ordered),
            "wrong": len(self.wrong),
            "first_wrong": self.wrong[:1],
            "seconds": self.seconds,
            "cpu_seconds": self.cpu_seconds,
            **{k: percentile(ordered, v) / 1e6 if ordered else None for k, v in shares.items()},
            "mean": sum(ordered) / len(ordered) / 1e6 if ordered else None,
            "percentiles": every,
        }


class Driver:
    """Keeps each connection busy with one flow after the other until the time is over.

    With a rate flows begin when they are due instead, and one that has to wait for a connection has
    begun to wait then: what the servers owe somebody who comes is not hidden by who waits already.
    """

    def __init__(self, address: tuple[str, int], makers: list[Callable[[], Iterator[Flow]]]):
        self._poller = select.epoll()
        # Once for all: memory of that size would be asked of the system for each answer.
        self._buffer = bytearray(RECEIVE_BYTES)
        self._connections: dict[int, _Connection] = {}
        self._address = address
        self._makers = makers
        self._end = 0
        self._left = 0
        self._every = 0
        self._due = 0
        # The longest idle first: nginx ends one that says nothing for ten seconds.
        self._waiting: deque[_Connection] = deque()
        self.load = Load()

    def run(self, seconds: float, count: int = sys.maxsize, rate: float = math.inf) -> Load:
        """Flows begun before the end are finished, so that every request was a whole one.

        Args:
            seconds: after which no flow begins.
            count: of flows; when so many have begun, none begins either.
            rate: flows that are due in a second.
        """
        self._left = count
        self._every = int(1e9 / rate)
        began, cpu = time.perf_counter_ns(), time.process_time()
        self._due = began
        self._end = began + int(seconds * 1e9)
        try:
            self._drive()
        finally:
            for connection in list(self._connections.values()):
                self._close(connection)
            self._poller.close()
        self.load.seconds = (time.perf_counter_ns() - began) / 1e9
        self.load.cpu_seconds = time.process_time() - cpu
        return self.load

    def _drive(self) -> None:
        for maker in self._makers[: self._left]:
            connection = _Connection(self._address, maker())
            self._open(connection)
            self._waiting.append(connection)
        self._begin_what_is_due()
        while self._connections:
            ready = self._poller.poll(self._patience())
            if not ready and not self._waiting:
                raise TimeoutError(f"no answer for {SILENCE_SECONDS:.0f} s")
            for descriptor, _ in ready:
                self._receive(self._connections[descriptor])
            self._begin_what_is_due()

    def _patience(self) -> float:
        """Seconds until something has to be done, unless an answer comes before."""
        if not self._waiting:
            return SILENCE_SECONDS
        return max(0, self._due - time.perf_counter_ns()) / 1e9

    def _begin_what_is_due(self) -> None:
        now = time.perf_counter_ns()
        while self._waiting and self._left > 0 and now >= self._next(now) < self._end:
            connection, due = self._waiting.popleft(), self._next(now)
            self._left -= 1
            self._due += self._every
            connection.begin(due)
        if self._next(now) >= self._end or self._left <= 0:
            while self._waiting:
                self._close(self._waiting.pop())

    def _next(self, now: int) -> int:
        """When the next flow is due: without a rate at once."""
        return self._due if self._every else now

    def _open(self, connection: _Connection) -> None:
        connection.open()
        self._connections[connection.socket.fileno()] = connection
        self._poller.register(connection.socket, select.EPOLLIN)

    def _close(self, connection: _Connection) -> None:
        self._poller.unregister(connection.socket)
        del self._connections[connection.socket.fileno()]
        connection.socket.close()

    def _receive(self, connection: _Connection) -> None:
        size = connection.socket.recv_into(self._buffer)
        if not size:
            raise ConnectionError("the connection was closed in the middle of an answer")
        connection.received += self._buffer[:size]
        answer = parse(connection.received)
        if answer is None:
            return
        connection.received = b""
        if answer.closes:  # nginx does so after a thousand requests
            self._close(connection)
            self._open(connection)
        self._go_on(connection, answer)

    def _go_on(self, connection: _Connection, answer: Answer) -> None:
        try:
            connection.socket.sendall(connection.flow.send(answer))
            return
        except StopIteration:
            self.load.latencies.append(time.perf_counter_ns() - connection.began)
        except WrongAnswer as error:
            self.load.wrong.append(str(error))
        self._waiting.append(connection)


def run(job: dict[str, Any]) -> dict[str, Any]:
    """Do one job: {flow, host, port, clients, seconds, data, count?, rate?}.

    See `flows` for the data.
    """
    make = FLOWS[job["flow"]]

    def maker(number: int) -> Callable[[], Iterator[Flow]]:
        return lambda: make(job["data"], number)

    makers = [maker(number) for number in range(job["clients"])]
    driver = Driver((job["host"], job["port"]), makers)
    limits = job.get("count", sys.maxsize), job.get("rate", math.inf)
    return driver.run(job["seconds"], *limits).document()


def main() -> None:
    """Answer jobs until the input ends; a job that could not be done is answered with why."""
    for line in sys.stdin:
        try:
            answer = run(json.loads(line))
        except (OSError, ValueError) as error:
            answer = {"error": str(error) or repr(error)}
        print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
