"""A flash sale on a stack of its own, and one row of stock beside pgbench."""

from __future__ import annotations

from loadtests.flash_sale import hot_row, sale
from loadtests.flash_sale.__main__ import CLIENTS, SECONDS, SETTINGS
from loadtests.flash_sale.hot_row import BAR, HotRow
from loadtests.flash_sale.outcome import SLOWEST_OF_MEDIAN, Outcome
from loadtests.own_stack import own_stack
from loadtests.report.document import Cell, Chapter, Chart, Check, Figure, Table, Words
from loadtests.report.place import Say
from local.audit import audit
from local.progress import Silent

# A fifth of what `make flash-sale` does: a report has more to tell.
SHOPPERS, UNITS = 1000, 200
_METRIC = [Words("Métrica", "Metric"), Words("Valor", "Value")]
_SECONDS, _PLAIN = Words("{0} segundos", "{0} seconds"), Words("{0}", "{0}")


def run(chapter: Chapter, say: Say) -> None:
    """The sale, the audit, the row."""
    with own_stack("flash-sale", Silent(), **SETTINGS) as stack:
        admin = (stack.settings.admin_email, stack.secrets.admin_password)
        url = f"http://127.0.0.1:{stack.settings.port}"
        tell(chapter, sale.hold(url, admin, SHOPPERS, UNITS, say))
        dsns = stack.dsn("auditor", "catalog"), stack.dsn("auditor", "orders")
        books = audit(*dsns, say=lambda _: None) == 0
        chapter.checks.append(Check(Words("a auditoria fecha", "the audit holds"), books))
        tell_row(chapter, hot_row.measure(stack, CLIENTS, SECONDS, say))
    chapter.commands.append(f"make flash-sale SHOPPERS={SHOPPERS} UNITS={UNITS}")


def tell(chapter: Chapter, outcome: Outcome) -> None:
    """Who got it, how soon everybody was told, and whether it was fair."""
    chapter.tables.append(Table(Words("A venda", "The sale"), _METRIC, _rows(outcome)))
    labels = [Words(str(status), str(status)) for status in outcome.answers]
    bars = (Words("respostas", "answers"), list(outcome.answers.values()))
    title, empty = Words("Respostas por status", "Answers by status"), Words("", "")
    chapter.charts.append(Chart(title, "bars", empty, empty, [bars], labels))
    chapter.checks += _checks(outcome)
    rate = Words("unidades vendidas por segundo", "units sold a second")
    chapter.figures.append(Figure("sold-rate", rate, outcome.per_second, "1/s", True))


def _rows(outcome: Outcome) -> list[list[Cell]]:
    spread = Words("mediana {0} ms, p99 {1} ms", "median {0} ms, p99 {1} ms")
    fair = Words("{0} de todos, {1} entre os que compraram", "{0} of all, {1} among buyers")
    return [
        [Words("Clientes ao mesmo tempo", "Shoppers at once"), _PLAIN.of(outcome.shoppers)],
        [Words("Unidades", "Units"), _PLAIN.of(outcome.units)],
        [Words("Compras confirmadas", "Purchases confirmed"), _PLAIN.of(outcome.confirmed)],
        [
            Words("Avisados de que acabou", "Told that none is left"),
            _PLAIN.of(outcome.sold_out_told),
        ],
        [Words("Tudo vendido depois de", "All sold after"), _SECONDS.of(outcome.sold_out)],
        [
            Words("Primeira resposta a 99 %", "First answer to 99 %"),
            _SECONDS.of(outcome.first_told),
        ],
        [Words("Última palavra a todos", "Last word to all"), _SECONDS.of(outcome.all_told)],
        [
            Words("Respostas que decidem (201, 409)", "Answers that decide (201, 409)"),
            spread.of(outcome.p50_ms, outcome.p99_ms),
        ],
        [
            Words("Respostas «volte depois» (429)", "Answers “come again” (429)"),
            spread.of(outcome.again_p50_ms, outcome.again_p99_ms),
        ],
        [
            Words("Justiça (1: fila, 0: sorteio)", "Fairness (1: a queue, 0: a lottery)"),
            fair.of(round(outcome.fairness, 2), round(outcome.fairness_of_buyers, 2)),
        ],
    ]


def _checks(outcome: Outcome) -> list[Check]:
    failed = sum(n for status, n in outcome.answers.items() if not status or status >= 500)
    slow = Words(
        "p99 das respostas que decidem: {0} vezes a mediana, no máximo {1}",
        "p99 of the answers that decide: {0} times their median, at most {1}",
    )
    return [
        Check(
            Words("{0} de {1} unidades vendidas", "{0} of {1} units sold").of(
                outcome.confirmed, outcome.units
            ),
            outcome.confirmed == outcome.units and outcome.stock == 0,
        ),
        Check(
            Words("{0} respostas com falha", "{0} answers were failures").of(failed),
            failed == 0 and outcome.others == 0,
        ),
        Check(
            slow.of(outcome.p99_ms / outcome.p50_ms, SLOWEST_OF_MEDIAN),
            outcome.p99_ms <= SLOWEST_OF_MEDIAN * outcome.p50_ms,
        ),
    ]


def tell_row(chapter: Chapter, row: HotRow) -> None:
    """One row beside pgbench. Missing the bar is said, and fails nothing: it is about speed."""
    columns = [Words("Em uma só linha", "On one row"), Words("Por segundo", "A second")]
    rows: list[list[Cell]] = [
        [Words("UPDATE simples (pgbench)", "Plain UPDATE (pgbench)"), row.update],
        [Words("Compra ideal (pgbench)", "Ideal purchase (pgbench)"), row.ideal],
        [Words("Reserva do catálogo", "The catalog's reservation"), row.reserve],
    ]
    title = Words("A linha disputada, {0} conexões", "The hot row, {0} connections")
    chapter.tables.append(Table(title.of(row.clients), columns, rows))
    where = [Words("Onde vai o tempo de uma reserva", "Where a reservation's time goes")]
    where.append(Words("ms", "ms"))
    parts: list[list[Cell]] = [
        [Words("comando, com a linha travada", "statement, with the row locked"), row.function_ms]
    ]
    waits = {
        "off": Words("commit sem esperar", "commit without waiting"),
        "local": Words("commit que espera o disco", "commit that waits for the disk"),
        "on": Words("commit que espera disco e réplica", "commit that waits for disk and standby"),
    }
    parts += [[waits[how], ms] for how, ms in row.commit_ms.items()]
    chapter.tables.append(
        Table(Words("Uma reserva sozinha", "One reservation alone"), where, parts)
    )
    text = Words(
        "A reserva chega a {0} vezes a compra ideal na mesma linha (meta: {1}).",
        "The reservation reaches {0} times the ideal purchase on the same row (bar: {1}).",
    )
    chapter.analysis.append(text.of(row.ratio, BAR))
    name = Words("reservas por segundo em uma linha", "reservations a second on one row")
    chapter.figures.append(Figure("hot-row-rate", name, row.reserve, "1/s", True))
