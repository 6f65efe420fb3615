"""Thousands of shoppers in one process: a connection each, all of them driven by one epoll.

Each follows a plan: a generator that yields a request and is sent its answer (None if the
connection ended instead), or yields a number of seconds to wait.
"""

from __future__ import annotations

import heapq
import resource
import select
import socket
import time
from collections.abc import Generator, Iterable
from dataclasses import dataclass, field

from loadtests.bench.client import parse
from loadtests.bench.flows import Answer
from local.errors import StackError

Plan = Generator[bytes | float, Answer | None, None]
_RECEIVE_BYTES = 1 << 16
# Of files that are no connections.
_SPARE = 200


@dataclass
class Shopper:
    """One person and the connection of theirs.

    Attributes:
        sent: when the request that is under way was sent; monotonic, like all moments here.
        answers: status (0: none) and seconds of each answer since the doors opened.
        first_sent, told: when the first one was sent and the last one came.
        outcome: the last status, once there is nothing more to ask.
    """

    number: int
    plan: Plan | None = None
    connection: socket.socket | None = None
    received: bytes = b""
    sent: float = 0.0
    answers: list[tuple[int, float]] = field(default_factory=list)
    first_sent: float = 0.0
    told: float = 0.0
    outcome: int = 0


class Crowd:
    """So many shoppers at one address."""

    def __init__(self, address: tuple[str, int], count: int) -> None:
        """Raises StackError when this machine does not let a process have so many connections."""
        self._address = address
        self.shoppers = [Shopper(number) for number in range(count)]
        self._poller = select.epoll()
        self._by_descriptor: dict[int, Shopper] = {}
        self._waiting: list[tuple[float, int]] = []
        self._active = 0
        _allow(count + _SPARE)

    def close(self) -> None:
        """End every connection."""
        for shopper in self.shoppers:
            self._drop(shopper)
        self._poller.close()

    def connect(self) -> None:
        """Give everybody a connection who has none (any more)."""
        for shopper in self.shoppers:
            if shopper.connection is None:
                self._connect(shopper)

    def follow(self, plans: Iterable[tuple[Shopper, Plan]], at_once: int, seconds: float) -> None:
        """Have shoppers follow plans, so many at a time; the next begins when one has ended.

        Raises StackError when not all have ended within `seconds`.
        """
        left, limit = iter(plans), time.monotonic() + seconds
        while True:
            while self._active < at_once and (pair := next(left, None)) is not None:
                self._active += 1
                pair[0].plan = pair[1]
                self._go_on(pair[0], None)
            if not self._active:
                return
            now = time.monotonic()
            if now > limit:
                raise StackError(f"{self._active} shoppers are not done after {seconds:g} s")
            wake = self._waiting[0][0] - now if self._waiting else 1.0
            for descriptor, _ in self._poller.poll(min(max(wake, 0.0), 1.0)):
                self._receive(self._by_descriptor[descriptor])
            while self._waiting and self._waiting[0][0] <= time.monotonic():
                self._go_on(self.shoppers[heapq.heappop(self._waiting)[1]], None)

    def _go_on(self, shopper: Shopper, answer: Answer | None) -> None:
        assert shopper.plan is not None
        try:
            wanted = shopper.plan.send(answer)
        except StopIteration:
            shopper.plan = None
            self._active -= 1
            return
        if isinstance(wanted, float):
            heapq.heappush(self._waiting, (time.monotonic() + wanted, shopper.number))
            return
        if shopper.connection is None:
            self._connect(shopper)
        assert shopper.connection is not None
        shopper.sent = time.monotonic()
        try:
            shopper.connection.sendall(wanted)
        except OSError:
            self._drop(shopper)
            self._go_on(shopper, None)

    def _receive(self, shopper: Shopper) -> None:
        assert shopper.connection is not None
        try:
            data = shopper.connection.recv(_RECEIVE_BYTES)
        except OSError:
            data = b""
        if not data:
            self._drop(shopper)
            # Between two requests it may end; who waits for an answer gets none.
            if shopper.plan is not None and shopper.number not in {n for _, n in self._waiting}:
                self._go_on(shopper, None)
            return
        shopper.received += data
        answer = parse(shopper.received)
        if answer is None:
            return
        shopper.received = b""
        if answer.closes:
            self._drop(shopper)
        self._go_on(shopper, answer)

    def _connect(self, shopper: Shopper) -> None:
        try:
            made = socket.create_connection(self._address, timeout=30)
        except OSError as error:
            raise StackError(f"the gateway takes no connection: {error}") from None
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        shopper.connection, shopper.received = made, b""
        self._by_descriptor[made.fileno()] = shopper
        self._poller.register(made, select.EPOLLIN)

    def _drop(self, shopper: Shopper) -> None:
        if shopper.connection is None:
            return
        self._poller.unregister(shopper.connection)
        del self._by_descriptor[shopper.connection.fileno()]
        shopper.connection.close()
        shopper.connection, shopper.received = None, b""


def _allow(files: int) -> None:
    """Let this process open so many files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft >= files:
        return
    if hard != resource.RLIM_INFINITY and hard < files:
        raise StackError(f"{files} open files are needed, `ulimit -Hn` allows {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (files, hard))
