"""What a run came to: measurements by scenario, the idle stack, noise, and the bars."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from loadtests.bench import bars
from loadtests.bench.bars import Bar, Verdict
from loadtests.bench.cpu import group_of
from loadtests.bench.figures import Spread, summed
from loadtests.bench.measure import Measurement
from local.settings import REPOSITORY

STATIC = "static"
CACHED = ("list-cached", "page-cached")
PURCHASE, HALF = "purchase", "purchase-half"
JUDGED = (STATIC, *CACHED, "flask", "flask-query", "page", "cart-add", PURCHASE, HALF)


@dataclass(frozen=True)
class Idle:
    """The stack at rest: PSS in bytes, and CPU milliseconds a second, by process."""

    pss: dict[str, int]
    cpu_ms: dict[str, float]

    @property
    def pss_mb(self) -> float:
        """Of all processes, in megabytes of a million bytes."""
        return sum(self.pss.values()) / 1e6


@dataclass(frozen=True)
class Row:
    """One scenario over its rounds. Latencies in milliseconds, costs per request."""

    name: str
    title: str
    per_second: Spread
    p50: Spread
    p99: Spread
    total_ms: Spread
    groups: dict[str, float]
    rounds: int
    quiet: int
    wrong: int
    client: float


@dataclass
class Results:
    """Everything of one run."""

    titles: dict[str, str]
    measurements: list[Measurement] = field(default_factory=list)
    idle: Idle | None = None
    context: dict[str, Any] = field(default_factory=dict)

    def of(self, name: str) -> list[Measurement]:
        """The rounds of a scenario."""
        return [each for each in self.measurements if each.scenario == name]

    def quiet(self, name: str) -> list[Measurement]:
        """Those that nobody disturbed."""
        return [each for each in self.of(name) if bars.is_quiet(each.foreign, each.stolen)]

    def used(self, name: str) -> list[Measurement]:
        """The rounds that the figures are made of: the quiet ones, or all when there is none."""
        return self.quiet(name) or self.of(name)

    def row(self, name: str) -> Row:
        """The figures of a scenario."""
        quiet, every, used = self.quiet(name), self.of(name), self.used(name)
        by_group = [summed(m.cpu_ms, {p: group_of(p) for p in m.cpu_ms}) for m in used]
        names = sorted({group for costs in by_group for group in costs})
        return Row(
            name=name,
            title=self.titles[name],
            per_second=Spread.of([m.per_second for m in used]),
            p50=Spread.of([m.p50 for m in used]),
            p99=Spread.of([m.p99 for m in used]),
            total_ms=Spread.of([m.total_ms for m in used]),
            groups={g: median(costs.get(g, 0.0) for costs in by_group) for g in names},
            rounds=len(every),
            quiet=len(quiet),
            wrong=sum(m.wrong for m in every),
            client=median(m.client for m in used),
        )

    @property
    def rows(self) -> list[Row]:
        """Of every scenario that was measured, in the order of the table."""
        measured = {each.scenario for each in self.measurements}
        return [self.row(name) for name in self.titles if name in measured]

    @property
    def wrong(self) -> int:
        """Answers that were not what they should be."""
        return sum(each.wrong for each in self.measurements)

    @property
    def noise(self) -> str | None:
        """Why this run judges nothing, or None."""
        judged = [name for name in JUDGED if self.of(name)]
        static = [each.per_second for each in self.quiet(STATIC)]
        spread = Spread.of(static).relative if static else None
        return bars.noise([len(self.quiet(name)) for name in judged], spread)

    @property
    def bars(self) -> list[tuple[Bar, Verdict]]:
        """Each bar and its verdict. What was not measured is not judged."""
        noise = self.noise

        def speed(m: Measurement) -> float:
            return m.per_second

        def thrift(m: Measurement) -> float:
            return 1 / m.total_ms if m.total_ms else 0.0

        purchase = bars.middle([m.total_ms for m in self.used(PURCHASE)])
        # Half of a round in which others had the machine would be too little.
        rounds = {m.round for m in self.used(PURCHASE)}
        tail = bars.middle([m.p99 / m.p50 for m in self.used(HALF) if m.round in rounds])
        memory = self.idle.pss_mb if self.idle else None
        page = self._ratio("page", "flask-query", speed)
        add = self._ratio("cart-add", "flask", speed)
        of_nginx, of_flask = "of nginx's static file", "requests/s of bare Flask"
        cached, thrifty = self._of_static(speed), self._of_static(thrift)
        found = [
            _share(f"cached reads, requests/s {of_nginx}", cached, bars.CACHED_READS_OF_STATIC),
            _share(
                f"cached reads, requests per CPU second {of_nginx}", thrifty, bars.THRIFT_OF_STATIC
            ),
            _share(
                f"product page past the cache, {of_flask} with one query",
                page,
                bars.PAGE_OF_A_QUERY,
            ),
            _share(f"add to cart, {of_flask}", add, bars.CART_ADD_OF_HELLO),
            Bar("a full purchase, server CPU", purchase, bars.PURCHASE_CPU_MS, "ms", False),
            Bar("p99 of its p50 at half of saturation", tail, bars.P99_OF_P50, "x", False),
            Bar("idle stack, PSS", memory, bars.IDLE_PSS_MB, "MB", False),
        ]
        # Memory is not disturbed by what others compute.
        return [(bar, bar.verdict(None if bar.unit == "MB" else noise)) for bar in found]

    def _of_static(self, figure: Any) -> float | None:
        """The smaller of both cached reads, as a share of the static file in the same rounds."""
        ratios = [self._ratio(name, STATIC, figure) for name in CACHED]
        known = [ratio for ratio in ratios if ratio is not None]
        return min(known) if len(known) == len(CACHED) else None

    def _ratio(self, name: str, base: str, figure: Any) -> float | None:
        """The median over the rounds of one scenario's figure as a share of another's."""
        others = {m.round: figure(m) for m in self.used(base)}
        return bars.middle(
            [figure(m) / others[m.round] for m in self.used(name) if others.get(m.round)]
        )

    @property
    def exit_code(self) -> int:
        """0 when every bar was met and every answer was right."""
        return bars.exit_code([verdict for _, verdict in self.bars], self.wrong)

    def document(self) -> dict[str, Any]:
        """For the JSON report."""
        return {
            "context": self.context,
            "idle": asdict(self.idle) | {"pss_mb": self.idle.pss_mb} if self.idle else None,
            "noise": self.noise,
            "bars": [asdict(bar) | {"verdict": str(verdict)} for bar, verdict in self.bars],
            "rows": [asdict(row) for row in self.rows],
            "measurements": [each.document() for each in self.measurements],
        }


def _share(name: str, value: float | None, limit: float) -> Bar:
    return Bar(name, value, limit, "x", at_least=True)


def machine() -> dict[str, Any]:
    """What the figures depend on: processor, kernel, Python, and the commit."""
    processor = "unknown"
    for line in Path("/proc/cpuinfo").read_text("utf-8", "replace").splitlines():
        if line.startswith("model name"):
            processor = line.partition(":")[2].strip()
            break
    return {
        "processor": processor,
        "cores": os.cpu_count(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "commit": _commit(),
    }


def _commit() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    try:
        done = subprocess.run(
            command, cwd=REPOSITORY, capture_output=True, text=True, check=True, timeout=10
        )
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return done.stdout.strip()


def order_of_groups(rows: Sequence[Row]) -> list[str]:
    """The groups that cost anything in any row, in the order in which a request meets them."""
    usual = ["nginx", "catalog", "cart", "orders", "Postgres", "Redis", "Patroni, etcd"]
    usual += ["supervisor", "bare Flask"]
    there = {group for row in rows for group, cost in row.groups.items() if cost > 0}
    return [g for g in usual if g in there] + sorted(there - set(usual))
