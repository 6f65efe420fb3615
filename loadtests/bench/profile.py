"""`python -m loadtests.bench.profile`: where the milliseconds of one purchase go.

Twice the same load: once undisturbed for the costs of each process, once under py-spy for the
shares of the layers in each of Feira's own. PostgreSQL says itself how long its functions took.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path

import psycopg2
from rich.box import SIMPLE_HEAD
from rich.table import Table

from loadtests.bench import cpu, pgbench
from loadtests.bench.layers import shares
from loadtests.bench.measure import Client, Measurement, Meter, Setting, measure, roots_of
from loadtests.bench.report import number
from loadtests.bench.run import PRODUCTS
from loadtests.bench.scenarios import GATEWAY, scenarios
from loadtests.bench.shop import Shop
from loadtests.own_stack import own_stack
from local.errors import StackError
from local.progress import Progress
from local.report import show_failure
from local.stack import Stack

RATE = 150
PROFILED = ("catalog-1", "catalog-2", "cart", "orders")
BACKGROUND = ("catalog-background", "cart-background", "orders-background")
_FUNCTIONS = "SELECT funcname, calls, total_time, self_time FROM pg_stat_user_functions"
_COMMITS = "SELECT datname, xact_commit FROM pg_stat_database WHERE datname = ANY(%s)"
_WAL = "SELECT wal_records, wal_bytes, wal_sync FROM pg_stat_wal"

Figures = dict[str, float]


def main() -> int:
    """Show the split; 1 when it could not be measured."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench.profile", description=__doc__)
    parser.add_argument("--time", type=float, default=10.0, help="seconds of each load")
    parser.add_argument("--clients", type=int, default=8, help="connections")
    options = parser.parse_args()
    progress = Progress()
    if shutil.which("py-spy", path=str(Path(sys.executable).parent)) is None:
        print("error: py-spy is not installed: run `make dev-venv`", file=sys.stderr)
        return 1
    try:
        with own_stack("bench", progress) as stack:
            _profile(stack, progress, options.time, options.clients)
    except StackError as error:
        show_failure(progress.console, error)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def _profile(stack: Stack, progress: Progress, seconds: float, clients: int) -> None:
    stack.cluster.query("ALTER SYSTEM SET track_functions = 'all'")
    stack.cluster.query("SELECT pg_reload_conf()")
    with Client() as client, Shop(stack) as shop:
        with progress.step("Made customers and products, warmed up"):
            prepared = shop.prepare(clients, PRODUCTS)
            scenario = next(s for s in scenarios(prepared) if s.name == "purchase")
            ports = {GATEWAY: stack.settings.port}
            meter = Meter(stack, client, {})
            commit = pgbench.synchronous_commit(stack)
            at = Setting(stack, shop, client, meter, ports, clients, commit)
            measure(at, scenario, 0, 2.0)
        before, postgres_before = _database_figures(stack), _postgres_seconds(stack)
        with progress.step("Measured what each process spends"):
            plain = measure(at, scenario, 1, seconds)
        postgres_after, after = _postgres_seconds(stack), _database_figures(stack)
        with progress.step("Sampled the services"):
            profiles = _sampled(at, lambda: measure(at, scenario, 2, seconds))
    console = progress.console
    console.print(_costs(plain, profiles))
    console.print(_each("PostgreSQL process, CPU ms", postgres_before, postgres_after, plain, 1000))
    console.print(_each("PostgreSQL's own count", before, after, plain, 1))
    progress.say_plain(
        f"{plain.count} purchases at {plain.per_second:.0f} a second, {plain.total_ms:.2f} ms of "
        f"CPU each; others took {plain.foreign:.0%} of the machine"
    )


def _sampled(at: Setting, load: Callable[[], object]) -> dict[str, dict[str, float]]:
    """Shares of the layers in each process while `load` runs."""
    folder = at.stack.settings.run / "profiles"
    folder.mkdir(exist_ok=True)
    program = shutil.which("py-spy", path=str(Path(sys.executable).parent))
    running = {}
    for name in (*PROFILED, *BACKGROUND):
        command = [str(program), "record", "--pid", str(at.stack.pid(name)), "--subprocesses"]
        command += ["--format", "raw", "--rate", str(RATE), "--nonblocking"]
        command += ["--duration", "unlimited", "--output", str(folder / name)]
        running[name] = subprocess.Popen(
            command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
    try:
        load()
    finally:
        for process in running.values():
            process.send_signal(2)
        for process in running.values():
            process.wait(timeout=60)
    return {name: _shares_in(folder / name) for name in running}


def _shares_in(path: Path) -> dict[str, float]:
    return shares(path.read_text("utf-8").splitlines()) if path.exists() else {}


def _costs(plain: Measurement, profiles: Mapping[str, Mapping[str, float]]) -> Table:
    """Milliseconds of one purchase by layer and process."""
    table = Table("CPU ms of one purchase", "all", *PROFILED, "background", box=SIMPLE_HEAD)
    rows: dict[str, dict[str, float]] = {}
    for name in (*PROFILED, *BACKGROUND):
        column = "background" if name in BACKGROUND else name
        for layer, share in (profiles[name] or {"not sampled": 1.0}).items():
            row = rows.setdefault(layer, {})
            row[column] = row.get(column, 0.0) + share * plain.cpu_ms.get(name, 0.0)
    for name, cost in plain.cpu_ms.items():
        if name not in profiles and cost:
            rows.setdefault(name, {})["all"] = cost
    for layer, row in sorted(rows.items(), key=lambda each: -sum(each[1].values())):
        cells = [number(row[c]) if c in row else "" for c in (*PROFILED, "background")]
        table.add_row(layer, number(sum(row.values())), *cells)
    table.add_section()
    table.add_row("in all", number(plain.total_ms))
    for each in table.columns[1:]:
        each.justify = "right"
    return table


def _each(title: str, before: Figures, after: Figures, plain: Measurement, factor: float) -> Table:
    table = Table(title, "for one purchase", box=SIMPLE_HEAD)
    table.columns[1].justify = "right"
    for name in sorted(after):
        value = (after[name] - before.get(name, 0.0)) * factor / plain.count
        if value >= 0.001:
            table.add_row(name, number(value))
    return table


def _postgres_seconds(stack: Stack) -> Figures:
    """CPU seconds by what a PostgreSQL process of the stack is for, by its title."""
    totals: Figures = {}
    table = cpu.processes()
    mine = cpu.owners(table, roots_of(stack))
    for process in table:
        if mine.get(process.pid, "").startswith("postgres"):
            try:
                title = Path(f"/proc/{process.pid}/cmdline").read_bytes().decode("utf-8", "replace")
            except OSError:
                continue
            words = title.strip("\0 ").removeprefix("postgres: ").split()
            what = " ".join(words[:2])
            totals[what] = totals.get(what, 0.0) + process.seconds
    return totals


def _database_figures(stack: Stack) -> Figures:
    """Milliseconds in functions, calls, commits, and what was written to the log, so far."""
    figures: Figures = {}
    for database in ("catalog", "orders"):
        for name, calls, total, own in _rows(stack, database, _FUNCTIONS):
            figures[f"{database}: {name}, calls"] = float(calls)
            figures[f"{database}: {name}, ms in all"] = float(total)
            figures[f"{database}: {name}, ms itself"] = float(own)
    for name, commits in _rows(stack, "postgres", _COMMITS, ["catalog", "orders"]):
        figures[f"{name}: transactions"] = float(commits)
    ((records, written, synced),) = _rows(stack, "postgres", _WAL)
    figures |= {"log: records": float(records), "log: bytes": float(written)}
    return figures | {"log: fsyncs": float(synced)}


def _rows(
    stack: Stack, database: str, statement: str, *parameters: object
) -> list[tuple[int, ...]]:
    connecting = closing(psycopg2.connect(stack.cluster.superuser_url(database)))
    with connecting as connection, connection.cursor() as cursor:
        cursor.execute(statement, parameters or None)
        return cursor.fetchall()


if __name__ == "__main__":
    sys.exit(main())
