"""Many who want the last units at once: the tests of the promises, as `make race` runs them."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from loadtests.report.document import Cell, Chapter, Check, Table, Words
from loadtests.report.place import Say
from local.errors import StackError
from local.settings import REPOSITORY, inherited_environment

TESTS = ("tests/race/test_oversell.py", "tests/race/test_the_books.py")
PROMISES = "1,2"
_SECONDS = 400
_TITLES = {
    "test_no_more_is_sold_than_is_there": Words(
        "muitos clientes, poucas unidades, pelo gateway",
        "many shoppers, few units, through the gateway",
    ),
    "test_the_last_units_are_sold_once_however_many_reach_for_them": Words(
        "as últimas unidades, direto no banco", "the last units, straight at the database"
    ),
    "test_orders_of_the_same_products_in_any_order_do_not_deadlock": Words(
        "os mesmos produtos em qualquer ordem, sem deadlock",
        "the same products in any order, without a deadlock",
    ),
    "test_the_books_hold_after_everything": Words(
        "auditoria depois de tudo", "the audit after everything"
    ),
}


def run(chapter: Chapter, say: Say) -> None:
    """The everyday counts; the tests start a stack of their own."""
    say("stock is raced for")
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "pytest", "-q", "-p", "tests.proof"]
        command += ["--promises", PROMISES, "--reports", folder, *TESTS]
        done = subprocess.run(
            command,
            cwd=REPOSITORY,
            env=inherited_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
        found = list(Path(folder).glob("race-*.json"))
        if not found:
            last = (done.stdout.strip().splitlines() or ["no reason given"])[-1]
            raise StackError(f"the tests did not run: {last}")
        tell(chapter, json.loads(found[0].read_text("utf-8"))["results"])
    chapter.commands.append(f"make race P={PROMISES}")
    chapter.notes.append(
        Words(
            "As contagens são as de todo dia; `make race` faz as completas (200 clientes, 2.000"
            " tentativas, 10 vezes). 201: comprou; 409: não há mais.",
            "The counts are the everyday ones; `make race` does the full ones (200 shoppers, 2,000"
            " attempts, 10 times). 201: bought; 409: none is left.",
        )
    )


def tell(chapter: Chapter, results: list[dict[str, Any]]) -> None:
    """One row a test, with what it counted."""
    columns = [Words("Corrida", "Race"), Words("Contagem", "Count"), Words("Resultado", "Result")]
    columns += [Words("Tempo (s)", "Time (s)")]
    passed = Words("passou", "passed"), Words("FALHOU", "FAILED")
    rows: list[list[Cell]] = []
    for result in results:
        name = result["test"].rpartition("::")[2]
        title = _TITLES.get(name, Words(name, name))
        holds = result["outcome"] == "passed"
        counted = "; ".join(text.partition(": ")[2] for text in result["figures"]) or None
        rows.append([title, counted, passed[not holds], round(result["seconds"], 1)])
        chapter.checks.append(Check(title, holds))
    table = Words("Corridas pelo estoque", "Races for stock")
    chapter.tables.append(Table(table, columns, rows))
    chapter.analysis.append(
        Words(
            "Nunca se vendeu mais do que havia: {0} de {1} corridas passaram.",
            "Never was more sold than there was: {0} of {1} races passed.",
        ).of(sum(check.holds for check in chapter.checks), len(rows))
    )
