"""One measurement: load on one server, and what every process of the stack spent on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any, Self

from loadtests.bench import cpu, pgbench
from loadtests.bench.figures import milliseconds_each
from loadtests.bench.scenarios import PGBENCH, Scenario
from loadtests.bench.shop import Shop
from local.errors import StackError
from local.settings import REPOSITORY, inherited_environment
from local.stack import Stack

# The names under which the benchmark itself is charged, which is no cost of a request.
OWN = ("client", "bench")


@dataclass(frozen=True)
class Measurement:
    """What one round of one scenario came to.

    Attributes:
        count, wrong: requests (or purchases) with the right answer, and with a wrong one.
        p50, p99: milliseconds.
        cpu_ms: of each server process, per request.
        foreign, stolen: shares of the machine's CPU time that other programs and the host took.
        client: share of one core that the load generator took; near 1 it is what limits.
    """

    scenario: str
    round: int
    count: int
    wrong: int
    first_wrong: list[str]
    seconds: float
    p50: float
    p99: float
    cpu_ms: dict[str, float]
    foreign: float
    stolen: float
    client: float

    @property
    def per_second(self) -> float:
        """Requests per second."""
        return self.count / self.seconds

    @property
    def total_ms(self) -> float:
        """CPU milliseconds per request of all server processes."""
        return sum(self.cpu_ms.values())

    def document(self) -> dict[str, Any]:
        """For the JSON report."""
        return asdict(self) | {"per_second": self.per_second, "total_ms": self.total_ms}


class Client:
    """The load generator's process, for a whole run."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "loadtests.bench.client"],
            cwd=REPOSITORY,
            env=inherited_environment() | {"PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
        )

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def run(self, job: dict[str, Any]) -> dict[str, Any]:
        """Put one load on a server; raises StackError when that was not possible."""
        assert self._process.stdin and self._process.stdout
        with suppress(BrokenPipeError):
            print(json.dumps(job), file=self._process.stdin, flush=True)
        line = self._process.stdout.readline()
        answer: dict[str, Any] = json.loads(line) if line else {"error": "the client ended"}
        if "error" in answer:
            raise StackError(f"{job['flow']} on port {job['port']}: {answer['error']}")
        return answer

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin and self._process.stdout
        self._process.kill()
        self._process.wait()
        with suppress(OSError):
            self._process.stdin.close()
        self._process.stdout.close()


def roots_of(stack: Stack) -> dict[int, str]:
    """Process ids of the stack with their names: each stands for all that it has started.

    A PostgreSQL server is called as its node is, the Patroni that watches it `patroni-N`, of which
    the server is no child.
    """
    cluster = stack.cluster
    roots = {stack.supervisor.pid or 0: "supervisor"}
    for name, state in stack.supervisor.states().items():
        if state.pid:
            is_node = name in cluster.nodes
            roots[state.pid] = name.replace("postgres", "patroni") if is_node else name
    servers = {cluster.postmaster(name): name for name in cluster.nodes}
    return {pid: name for pid, name in (roots | servers).items() if pid}


class Meter:
    """Reads the CPU time of the stack, of the servers beside it, of ourselves, of the machine."""

    def __init__(self, stack: Stack, client: Client, beside: Mapping[str, int]) -> None:
        self._stack = stack
        self._own = {client.pid: OWN[0], os.getpid(): OWN[1]}
        self._beside = {pid: name for name, pid in beside.items()}
        self._roots: dict[int, str] = {}
        self.look_again()

    def look_again(self) -> None:
        """Find the processes anew: one that was restarted has another id."""
        self._roots = roots_of(self._stack) | self._beside | self._own

    def read(self) -> tuple[dict[str, float], cpu.Machine, float]:
        """CPU seconds by process, the machine's, and when this was."""
        return cpu.attribute(cpu.processes(), self._roots), cpu.machine(), time.monotonic()


@dataclass(frozen=True)
class Setting:
    """Where and how load is put on."""

    stack: Stack
    shop: Shop
    client: Client
    meter: Meter
    ports: Mapping[str, int]
    clients: int
    commit: str


def measure(
    at: Setting, scenario: Scenario, number: int, seconds: float, rate: float | None = None
) -> Measurement:
    """Put load on for some seconds, as much as can be or at a rate a second.

    Raises StackError when the servers do not answer at all.
    """
    before, machine_before, began = at.meter.read()
    load = _load(at, scenario, seconds, rate)
    if scenario.settles:
        at.shop.settle()
    after, machine_after, ended = at.meter.read()
    if not load["count"]:
        raise StackError(f"{scenario.name}: no right answer: {load['first_wrong']}")
    capacity = (ended - began) * (os.cpu_count() or 1)
    spent = {name: after[name] - before.get(name, 0.0) for name in after}
    foreign = machine_after.work - machine_before.work - sum(spent.values())
    # pgbench counts as ours, too: it is a child of this process, waited for.
    servers = {name: t for name, t in after.items() if name not in OWN and scenario.counts(name)}
    return Measurement(
        scenario=scenario.name,
        round=number,
        count=load["count"],
        wrong=load["wrong"],
        first_wrong=load["first_wrong"],
        seconds=load["seconds"],
        p50=load["p50"],
        p99=load["p99"],
        cpu_ms=milliseconds_each(before, servers, load["count"]),
        foreign=max(0.0, foreign / capacity),
        stolen=(machine_after.stolen - machine_before.stolen) / capacity,
        client=load["cpu_seconds"] / load["seconds"],
    )


def _load(at: Setting, scenario: Scenario, seconds: float, rate: float | None) -> dict[str, Any]:
    if scenario.target == PGBENCH:
        hot = scenario.flow == "hot"
        done = pgbench.run(at.stack, hot=hot, clients=at.clients, seconds=seconds, commit=at.commit)
        return asdict(done) | {"wrong": 0, "first_wrong": [], "cpu_seconds": 0.0}
    return at.client.run(
        {
            "flow": scenario.flow,
            "host": "127.0.0.1",
            "port": at.ports[scenario.target],
            "clients": at.clients,
            "seconds": seconds,
            "data": scenario.data,
        }
        | ({"rate": rate} if rate else {})
    )
