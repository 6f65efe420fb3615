"""The results on the screen, as Markdown and as JSON."""

from __future__ import annotations

import json
from pathlib import Path

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from loadtests.bench.bars import Bar, Verdict
from loadtests.bench.figures import Spread
from loadtests.bench.results import Results, Row, order_of_groups

# Above this share of a core the generator, not the server, may be what limits.
CLIENT_LIMITS = 0.9
WIDTH = 132


def number(value: float) -> str:
    """Three digits that count."""
    if value >= 100:
        return f"{value:,.0f}"
    if value >= 10:
        return f"{value:.1f}"
    if value >= 1:
        return f"{value:.2f}"
    return f"{value:.3f}" if value >= 0.0005 else "0"


def spread(values: Spread) -> str:
    """min - median - max."""
    return " - ".join(map(number, (values.low, values.middle, values.high)))


def speed_table(rows: list[Row]) -> tuple[list[str], list[list[str]]]:
    """Requests per second, latency, and CPU per request."""
    head = ["min - median - max", "requests/s", "p50 ms", "p99 ms", "CPU ms each", "quiet"]
    body = [
        [
            row.title + (" *" if row.client > CLIENT_LIMITS else ""),
            spread(row.per_second),
            number(row.p50.middle),
            number(row.p99.middle),
            spread(row.total_ms),
            f"{row.quiet}/{row.rounds}",
        ]
        for row in rows
    ]
    return head, body


def cost_table(rows: list[Row]) -> tuple[list[str], list[list[str]]]:
    """CPU milliseconds per request, in all and by group: the medians of the rounds."""
    groups = order_of_groups(rows)
    head = ["CPU ms each", "all", *groups]
    body = [
        [row.title, number(row.total_ms.middle), *(number(row.groups.get(g, 0.0)) for g in groups)]
        for row in rows
    ]
    return head, body


def bar_lines(results: Results) -> list[str]:
    """One line for each bar, and what could not be judged."""
    lines = [_bar_line(bar, verdict) for bar, verdict in results.bars]
    if results.noise:
        lines.append(f"Too noisy to judge: {results.noise}.")
    if results.wrong:
        first = next(m.first_wrong for m in results.measurements if m.first_wrong)
        lines.append(f"{results.wrong} wrong answers, the first: {first[0]}")
    return lines


def _bar_line(bar: Bar, verdict: Verdict) -> str:
    value = "nothing measured" if bar.value is None else f"{number(bar.value)} {bar.unit}"
    sign = ">=" if bar.at_least else "<="
    return f"{verdict:<10}  {bar.name}: {value} (bar: {sign} {bar.limit:g} {bar.unit})"


def notes(results: Results) -> list[str]:
    """What one has to know to read the tables."""
    at = results.context
    lines = [
        f"{at['cores']} cores, {at['processor']}, Linux {at['kernel']}, Python {at['python']}, "
        f"commit {at['commit']}, synchronous_commit {at['synchronous_commit']}.",
        f"{at['rounds']} rounds of {at['seconds']:g} s each after a warm-up, {at['clients']} "
        "connections without pauses, generator on the same machine.",
        "CPU: children and background processes included; of a purchase also what its events "
        "cause after the answer.",
    ]
    if any(row.client > CLIENT_LIMITS for row in results.rows):
        lines.append("* the generator was busy all the time: the server could do more.")
    if results.idle:
        busy = sum(results.idle.cpu_ms.values())
        lines.append(
            f"Idle stack: {results.idle.pss_mb:.0f} MB of PSS, {busy:.0f} ms of CPU a second."
        )
    return lines


def show(console: Console, results: Results) -> None:
    """Print tables, notes and verdicts."""
    console = Console(width=max(WIDTH, console.width), highlight=False)
    for head, body in (speed_table(results.rows), cost_table(results.rows)):
        table = Table(*head, box=SIMPLE_HEAD)
        for column in table.columns:
            column.no_wrap = True
            column.justify = "left" if column is table.columns[0] else "right"
        for cells in body:
            table.add_row(*cells)
        console.print(table)
    for line in notes(results):
        console.print(line, markup=False)
    console.print()
    for line in bar_lines(results):
        console.print(line, markup=False)


def markdown(results: Results) -> str:
    """The same as a page."""
    parts = [f"# Benchmark of {results.context['began']}", *notes(results)]
    for head, body in (speed_table(results.rows), cost_table(results.rows)):
        rule = ["---", *["---:"] * (len(head) - 1)]
        parts.append("\n".join(f"| {' | '.join(cells)} |" for cells in (head, rule, *body)))
    parts.append("\n".join(f"- {line}" for line in bar_lines(results)))
    return "\n\n".join(parts) + "\n"


def write(results: Results, folder: Path, stamp: str) -> list[Path]:
    """Write both files; their paths. Raises OSError when that cannot be done."""
    folder.mkdir(exist_ok=True)
    texts = {
        "json": json.dumps(results.document(), indent=1, ensure_ascii=False) + "\n",
        "md": markdown(results),
    }
    paths = []
    for suffix, text in texts.items():
        path = folder / f"bench-{stamp}.{suffix}"
        path.write_text(text, "utf-8")
        paths.append(path)
    return paths
