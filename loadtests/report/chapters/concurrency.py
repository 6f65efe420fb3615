"""Many at once: the source report's own `ab` on the product list, and a hundred shoppers (5.3)."""

from __future__ import annotations

import csv
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from loadtests.bench.measure import Client
from loadtests.report.document import Cell, Chapter, Chart, Check, Figure, Table, Words
from loadtests.report.place import Place, Say
from local.errors import StackError
from local.settings import REPOSITORY, inherited_environment

REQUESTS, USERS = 1000, 100
LIST = "/api/produtos"
LOCUST_SECONDS = 30
_COLUMNS = [Words("Métrica", "Metric"), Words("Valor", "Value")]
_PLAIN = Words("{0}", "{0}")
_UNIT_S, _UNIT_MS = Words("{0} segundos", "{0} seconds"), Words("{0} ms", "{0} ms")


@dataclass(frozen=True)
class Burst:
    """What 1,000 requests of 100 clients came to. Latencies in milliseconds, by percentile."""

    seconds: float
    per_second: float
    mean_ms: float
    good: int
    percentiles: dict[int, float]


def parse_ab(text: str) -> Burst:
    """What `ab` prints. Raises ValueError when something is missing in it."""

    def number(pattern: str, default: float | None = None) -> float:
        found = re.search(rf"(?m)^{pattern}\s+([0-9.]+)", text)
        if not found and default is None:
            raise ValueError(f"ab did not say {pattern!r}")
        return float(found[1]) if found else float(default or 0)

    complete = number("Complete requests:")
    # Bodies of another length are as good: a `Length` is no failure of the server.
    kinds = re.search(r"\(Connect: (\d+), Receive: (\d+), Length: \d+, Exceptions: (\d+)\)", text)
    failed = sum(int(count) for count in kinds.groups()) if kinds else 0
    spread = re.findall(r"(?m)^\s+(\d+)%\s+(\d+)", text)
    return Burst(
        seconds=number("Time taken for tests:"),
        per_second=number("Requests per second:"),
        mean_ms=number("Time per request:"),
        good=int(complete - failed - number("Non-2xx responses:", 0)),
        percentiles={int(share): float(ms) for share, ms in spread},
    )


def run(place: Place, chapter: Chapter, say: Say) -> None:
    """`ab` on one instance and through the gateway, then shoppers who think in between."""
    doors = [
        (Words("uma instância do catálogo", "one instance of the catalog"), place.catalog_url),
        (Words("pelo gateway", "through the gateway"), place.url),
    ]
    measured = []
    for name, url in doors:
        if url:
            say(f"{REQUESTS} requests at {url}")
            measured.append((name, _burst(chapter, url)))
    for key, (name, burst) in zip(("instance", "gateway")[-len(measured) :], measured, strict=True):
        tell(chapter, key, name, burst)
    chapter.charts.append(
        Chart(
            Words("Latência de {0} requisições", "Latency of {0} requests", (REQUESTS,)),
            "lines",
            Words("percentil", "percentile"),
            Words("ms", "ms"),
            [(name, sorted(burst.percentiles.items())) for name, burst in measured],
        )
    )
    say(f"{USERS} shoppers for {LOCUST_SECONDS} s")
    _shoppers(chapter, place)


def _burst(chapter: Chapter, url: str) -> Burst:
    target = f"{url}{LIST}"
    if shutil.which("ab"):
        command = ["ab", "-n", str(REQUESTS), "-c", str(USERS), target]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
        if done.returncode:
            raise StackError(f"ab: {(done.stderr.strip().splitlines() or ['no reason given'])[-1]}")
        chapter.commands.append(f"ab -n {REQUESTS} -c {USERS} {target}")
        return parse_ab(done.stdout)
    absent = Words(
        "`ab` não está nesta máquina (Debian: apt install apache2-utils): as mesmas {0} requisições"
        " em {1} conexões foram feitas pelo gerador de carga de `make bench`.",
        "`ab` is not on this machine (Debian: apt install apache2-utils): the same {0} requests on"
        " {1} connections were made by the load generator of `make bench`.",
        (REQUESTS, USERS),
    )
    if absent not in chapter.notes:
        chapter.notes.append(absent)
    return _without_ab(url)


def _without_ab(url: str) -> Burst:
    at = urlsplit(url)
    job = {"flow": "read", "host": at.hostname, "port": at.port, "clients": USERS, "seconds": 120}
    data = {"paths": [LIST], "least_bytes": 100}
    with Client() as client:
        done = client.run(job | {"data": data, "count": REQUESTS})
    return Burst(
        seconds=done["seconds"],
        per_second=done["count"] / done["seconds"],
        mean_ms=done["mean"],
        good=done["count"],
        percentiles={int(share): ms for share, ms in done["percentiles"].items()},
    )


def tell(chapter: Chapter, key: str, name: Words, burst: Burst) -> None:
    rows: list[list[Cell]] = [
        [Words("Tempo total", "Total time"), _UNIT_S.of(burst.seconds)],
        [Words("Req/segundo", "Requests/second"), _PLAIN.of(burst.per_second)],
        [Words("Latência média", "Mean latency"), _UNIT_MS.of(burst.mean_ms)],
        [
            Words("Taxa de sucesso", "Success rate"),
            Words("{0} %", "{0} %", (100 * burst.good / REQUESTS,)),
        ],
    ]
    title = Words("{0} requisições, {1}", "{0} requests, {1}", (REQUESTS, name))
    chapter.tables.append(Table(title, _COLUMNS, rows))
    chapter.checks.append(
        Check(
            Words("todas as requisições deram certo, {0}", "every request went well, {0}", (name,)),
            burst.good == REQUESTS,
        )
    )
    rate = Words("req/s na lista, {0}", "list, requests/s, {0}", (name,))
    mean = Words("latência média da lista, {0}", "mean latency of the list, {0}", (name,))
    chapter.figures += [
        Figure(f"{key}-rate", rate, burst.per_second, "req/s", more_is_better=True),
        Figure(f"{key}-mean", mean, burst.mean_ms, "ms"),
    ]


def _shoppers(chapter: Chapter, place: Place) -> None:
    """`make load` for a while; its thresholds decide whether it went well."""
    with tempfile.TemporaryDirectory() as folder:
        prefix = Path(folder) / "load"
        command = [sys.executable, "-m", "loadtests.load", "--headless", "--host", place.url]
        command += ["--users", str(USERS), "--rate", "20", "--time", f"{LOCUST_SECONDS}s"]
        done = subprocess.run(
            [*command, "--out", str(prefix)],
            cwd=REPOSITORY,
            env=inherited_environment(),
            capture_output=True,
            text=True,
            check=False,
            timeout=LOCUST_SECONDS + 120,
        )
        chapter.commands.append(
            f"make load HEADLESS=1 USERS={USERS} RATE=20 TIME={LOCUST_SECONDS}s"
        )
        try:
            stats = _rows(prefix.with_name("load_stats.csv"))
            history = _rows(prefix.with_name("load_stats_history.csv"))
        except FileNotFoundError:
            last = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise StackError(f"locust: {last}") from None
    _tell_shoppers(chapter, stats, history)
    chapter.analysis.append(
        Words(
            "Limites de loadtests/thresholds.toml: {0}",
            "Thresholds of loadtests/thresholds.toml: {0}",
            (_verdict(done.stdout),),
        )
    )


def _verdict(text: str) -> str:
    return "; ".join(line for line in text.splitlines() if line.startswith(("not kept", "Thresh")))


def _tell_shoppers(
    chapter: Chapter, stats: list[dict[str, Any]], history: list[dict[str, Any]]
) -> None:
    columns = [Words("Requisição", "Request"), Words("Quantas", "Count")]
    columns += [Words("Falhas", "Failures"), Words("Latência média (ms)", "Mean latency (ms)")]
    columns += [Words("p95 (ms)", "p95 (ms)"), Words("p99 (ms)", "p99 (ms)")]
    rows: list[list[Cell]] = [
        [
            row["Name"], int(row["Request Count"]), int(row["Failure Count"]),
            float(row["Average Response Time"]), float(row["95%"]), float(row["99%"]),
        ]
        for row in stats
    ]  # fmt: skip
    title = Words("{0} clientes que navegam e compram", "{0} shoppers who look and buy", (USERS,))
    chapter.tables.append(Table(title, columns, rows))
    total = next(row for row in stats if row["Name"] == "Aggregated")
    chapter.figures.append(
        Figure(
            "shoppers-p95",
            Words("p95 de {0} clientes", "p95 of {0} shoppers", (USERS,)),
            float(total["95%"]),
            "ms",
            floor=20,
        )
    )
    wrong = int(total["Failure Count"])
    text = Words("{0} respostas erradas de {1}", "{0} wrong answers of {1}")
    values = (wrong, int(total["Request Count"]))
    chapter.checks.append(Check(text.of(*values), wrong == 0))
    points = [row for row in history if row["Name"] == "Aggregated" and row["95%"] != "N/A"]
    start = int(points[0]["Timestamp"]) if points else 0
    chapter.charts.append(
        Chart(
            Words("{0} clientes: latência no tempo", "{0} shoppers: latency over time", (USERS,)),
            "lines",
            Words("segundos", "seconds"),
            Words("ms", "ms"),
            [
                (Words(name, name), [(int(p["Timestamp"]) - start, float(p[name])) for p in points])
                for name in ("50%", "95%")
            ],
        )
    )


def _rows(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))
