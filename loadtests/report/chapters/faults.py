"""Parts of the system lost while shoppers buy: the drills of `make drill` (5.4)."""

from __future__ import annotations

from collections.abc import Sequence

from loadtests.drills import session
from loadtests.drills.kinds import KINDS
from loadtests.drills.report import Session
from loadtests.drills.verdict import Result
from loadtests.report.document import Cell, Chapter, Chart, Check, Figure, Table, Words
from loadtests.report.place import Place, Say

RATE = 10.0
# The source's scenario, in both ways in which a primary of the catalog can be lost, and the rest
# of what fits into a coffee break. `make drill` does every kind.
DONE = (
    "catalog-instance-loss",
    "primary-host-loss",
    "standby-loss",
    "redis-carts-loss",
    "redis-streams-loss",
)
_SOURCE = DONE[:2]
_TITLES = {
    "control": Words("sem falha", "no fault"),
    "catalog-instance-loss": Words("queda de uma instância do catálogo", "catalog instance lost"),
    "primary-host-loss": Words("queda do PostgreSQL primário", "PostgreSQL primary lost"),
    "standby-loss": Words("queda da réplica do PostgreSQL", "PostgreSQL standby lost"),
    "redis-carts-loss": Words("queda do Redis dos carrinhos", "Redis of the carts lost"),
    "redis-streams-loss": Words("queda do Redis dos eventos", "Redis of the events lost"),
}
_SECONDS = Words("{0} segundos", "{0} seconds")
_PLAIN = Words("{0}", "{0}")


class _Teller:
    """Tells the bar what the drills tell."""

    def __init__(self, say: Say) -> None:
        self._say, self._doing = say, ""

    def begin(self, what: str) -> None:
        self._doing = what

    def say(self, text: str) -> None:
        self._say(f"{self._doing}, {text}")

    def end(self, result: str, drills: int = 1) -> None:
        self._say(result)


def run(place: Place, chapter: Chapter, say: Say) -> None:
    """Break one thing after the other, under a load of purchases."""
    rig = place.rig()
    done = Session(place.name, RATE, False)
    try:
        session.run(
            rig, session.plan([KINDS[name] for name in DONE], 1, full=False), done, _Teller(say)
        )
    finally:
        rig.mend()
        chapter.commands.append(_command(place.name))
        tell(chapter, done.results)
        chapter.error = done.broken_off


def _command(on: str) -> str:
    return f"make drill KIND={','.join(DONE)}" + (" ON=compose" if on == "compose" else "")


def tell(chapter: Chapter, results: Sequence[Result]) -> None:
    """What the drills found, in the words of the source report."""
    for result in results:
        if result.kind in _SOURCE:
            chapter.tables.append(_source_table(result))
    chapter.tables.append(_all(results))
    for result in results:
        if result.per_second:
            chapter.charts.append(_chart(result))
        chapter.checks.append(_check(result))
        if result.kind != "control" and not result.error:
            chapter.figures += _figures(result)
    _conclude(chapter, [each for each in results if each.kind != "control" and not each.error])


def _source_table(result: Result) -> Table:
    """The source report's own table."""
    columns = [Words("Métrica", "Metric"), Words("Valor", "Value")]
    rows: list[list[Cell]] = [
        [Words("Tempo de detecção", "Detection"), _SECONDS.of(result.detection)],
        [Words("Tempo de failover", "Failover"), _SECONDS.of(result.failover)],
        [Words("Requisições perdidas", "Requests lost"), _PLAIN.of(result.lost_calls)],
        [Words("Downtime total", "Down in all"), _SECONDS.of(result.down)],
    ]
    return Table(_TITLES[result.kind], columns, rows)


def _all(results: Sequence[Result]) -> Table:
    columns = [
        Words("Falha", "Fault"),
        Words("Tempo de detecção (s)", "Detection (s)"),
        Words("Tempo de failover (s)", "Failover (s)"),
        Words("Requisições perdidas", "Requests lost"),
        Words("Downtime total (s)", "Down in all (s)"),
        Words("Compras confirmadas", "Purchases confirmed"),
        Words("Compras perdidas", "Purchases lost"),
        Words("Compras em dobro", "Purchases doubled"),
        Words("Unidades vendidas a mais", "Units oversold"),
    ]
    rows: list[list[Cell]] = [
        [
            _TITLES[each.kind],
            each.detection,
            each.failover,
            each.lost_calls,
            each.down,
            each.acknowledged,
            each.lost,
            each.duplicates,
            each.oversold,
        ]
        for each in results
    ]
    return Table(Words("Todas as falhas", "Every fault"), columns, rows)


def _chart(result: Result) -> Chart:
    highest = max(result.per_second)
    series: list[tuple[Words, list[tuple[float, float]]]] = [
        (Words("compras por segundo", "purchases a second"), list(enumerate(result.per_second)))
    ]
    marks = (
        (Words("falha", "fault"), result.fault_second),
        (Words("conserto", "mended"), result.mended_second),
    )
    for name, at in marks:
        if at is not None:
            series.append((name, [(at, 0), (at, highest)]))
    seconds = Words("segundos", "seconds")
    return Chart(_TITLES[result.kind], "lines", seconds, Words("", ""), list(series))


def _check(result: Result) -> Check:
    broken = [check.text for check in result.checks if not check.holds]
    broken += [result.error] if result.error else []
    text = Words(
        "{0}: nada perdido, em dobro ou vendido a mais, e a auditoria fecha",
        "{0}: nothing lost, doubled or oversold, and the audit holds",
    )
    if broken:
        text = Words("{0}: {1}", "{0}: {1}")
    return Check(
        text.of(_TITLES[result.kind], *(["; ".join(broken)] if broken else [])), not broken
    )


def _figures(result: Result) -> list[Figure]:
    named = (
        ("detection", Words("detecção: {0}", "detection: {0}"), result.detection),
        ("failover", Words("failover: {0}", "failover: {0}"), result.failover),
        ("down", Words("downtime: {0}", "down: {0}"), result.down),
    )
    # A lock of Patroni's may have all of its life before it, or none.
    return [
        Figure(
            f"{result.kind}-{name}", title.of(_TITLES[result.kind]), value, "s", margin=0.5, floor=6
        )
        for name, title, value in named
        if value is not None
    ]


def _conclude(chapter: Chapter, results: Sequence[Result]) -> None:
    if not results:
        return
    worst = max(results, key=lambda each: each.down)
    text = Words(
        "Em {0} falhas foram confirmadas {1} compras; {2} se perderam, {3} saíram em dobro. O maior"
        " tempo sem vender foi {4} s ({5}). Cada compra sem resposta foi repetida com a mesma chave"
        " até ter um fim.",
        "In {0} faults {1} purchases were confirmed; {2} were lost, {3} were doubled. The longest"
        " time without a sale was {4} s ({5}). Each purchase without an answer was sent again with"
        " the same key until it had an end.",
    )
    confirmed, lost = sum(r.acknowledged for r in results), sum(r.lost for r in results)
    doubled = sum(r.duplicates for r in results)
    chapter.analysis.append(
        text.of(len(results), confirmed, lost, doubled, worst.down, _TITLES[worst.kind])
    )
