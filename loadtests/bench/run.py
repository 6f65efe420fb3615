"""A run: a stack of its own, the servers to compare it with, rounds of measurements, results."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from loadtests.bench import baselines, cpu, pgbench
from loadtests.bench.measure import OWN, Client, Meter, Setting, measure, roots_of
from loadtests.bench.results import Idle, Results, machine
from loadtests.bench.scenarios import GATEWAY, Scenario, chosen, scenarios
from loadtests.bench.shop import Shop
from loadtests.own_stack import own_stack
from local.memory import pss_bytes
from local.progress import Progress as Steps
from local.progress import Silent
from local.settings import REPOSITORY
from local.stack import Stack

REPORTS = REPOSITORY / "reports"
IDLE_SECONDS = 5.0
WARM_UP_SECONDS = 1.0
# So many that buyers seldom wait for each other.
PRODUCTS = 100


@dataclass(frozen=True)
class Options:
    """How long, how often, from how many connections, and what (all when empty)."""

    seconds: float
    rounds: int
    clients: int
    only: Sequence[str]


def run(options: Options, steps: Steps) -> Results:
    """Measure on a fresh stack, which is gone afterwards.

    Raises StackError when it cannot be started or does not answer.
    """
    with own_stack("bench", steps) as stack:
        with steps.step(f"Measured the stack at rest for {IDLE_SECONDS:g} s"):
            idle = measure_idle(stack)
        results = measure_all(stack, options, steps)
    results.idle = idle
    return results


def measure_all(stack: Stack, options: Options, steps: Silent) -> Results:
    """Measure on a running stack; what is made in its shop and its database stays there.

    Raises StackError when something does not answer.
    """
    commit = pgbench.synchronous_commit(stack)
    pgbench.prepare(stack, commit)
    with baselines.running(stack) as (ports, pids), Client() as client, Shop(stack) as shop:
        with steps.step("Made customers and products"):
            prepared = shop.prepare(options.clients, PRODUCTS)
            shop.settle()
        meter = Meter(stack, client, pids)
        ports[GATEWAY] = stack.settings.port
        at = Setting(stack, shop, client, meter, ports, options.clients, commit)
        wanted = chosen(scenarios(prepared), options.only)
        results = Results({each.name: each.title for each in wanted})
        results.context = context(options, commit)
        _rounds(at, wanted, options, results)
    return results


def _rounds(at: Setting, wanted: list[Scenario], options: Options, results: Results) -> None:
    """All scenarios in turn, again and again: what disturbs the machine hits all alike."""
    warm_up = min(options.seconds, WARM_UP_SECONDS)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns) as progress:
        bar = progress.add_task("warm-up", total=len(wanted) * (options.rounds + 1))
        for number in range(options.rounds + 1):
            at.meter.look_again()
            speeds: dict[str, float] = {}
            for scenario in wanted:
                label = f"round {number}/{options.rounds}" if number else "warm-up"
                progress.update(bar, description=f"{label}: {scenario.title}")
                seconds = options.seconds if number else warm_up
                half = speeds[scenario.half_of] / 2 if scenario.half_of else None
                measurement = measure(at, scenario, number, seconds, half)
                speeds[scenario.name] = measurement.per_second
                if number:
                    results.measurements.append(measurement)
                progress.advance(bar)


def measure_idle(stack: Stack) -> Idle:
    """Memory and CPU of the stack while nobody asks anything of it."""
    with Client() as client:
        meter = Meter(stack, client, {})
        before, _, began = meter.read()
        time.sleep(IDLE_SECONDS)
        after, _, ended = meter.read()
    spent = {
        name: (seconds - before.get(name, 0.0)) * 1000 / (ended - began)
        for name, seconds in after.items()
        if name not in OWN
    }
    owners = cpu.owners(cpu.processes(), roots_of(stack))
    pss: dict[str, int] = {}
    for pid, name in owners.items():
        pss[name] = pss.get(name, 0) + pss_bytes(pid)
    return Idle(pss, spent)


def context(options: Options, commit: str) -> dict[str, object]:
    """Under what conditions the figures were measured."""
    now = datetime.now(UTC)
    return {
        **machine(),
        "began": now.strftime("%Y-%m-%d %H:%M UTC"),
        "stamp": now.strftime("%Y%m%d-%H%M%S"),
        "seconds": options.seconds,
        "rounds": options.rounds,
        "clients": options.clients,
        "synchronous_commit": commit,
    }
