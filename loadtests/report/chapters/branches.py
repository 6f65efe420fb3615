"""Two branches that race, are cut off and are lied to: the scenarios of `make demo-branches`."""

from __future__ import annotations

import shutil
from typing import Any

from loadtests.report.document import Cell, Chapter, Check, Figure, Table, Words
from loadtests.report.place import Say
from local import branches
from local.branches_demo import Scene, play
from local.errors import StackError
from local.progress import Silent
from local.settings import REPOSITORY, Settings, read_settings
from local.web import check_ports

HOME = REPOSITORY / ".feira-report-branches"
_TITLES = {
    "last-unit": Words(
        "Dois clientes pedem a última unidade no mesmo instante",
        "Two customers order the last unit at the same moment",
    ),
    "cut-off": Words(
        "A outra filial cai; esta segue vendendo", "The other branch is down; this one goes on"
    ),
    "forged": Words(
        "Alguém mente sobre o estoque da outra", "Somebody lies about the other's stock"
    ),
    "transfer": Words("4 de 10 unidades vão para a outra", "4 of 10 units go to the other"),
}


class _Steps(Silent):
    """Tells the bar what is played."""

    def __init__(self, say: Say) -> None:
        self._say = say

    def say(self, text: str) -> None:
        """A line, of which the bar has room for the beginning."""
        self._say(text.strip()[:60])


def run(chapter: Chapter, say: Say) -> None:
    """Both branches are started for it and are gone afterwards."""
    say("two branches start")
    base = _settings()
    shutil.rmtree(HOME, ignore_errors=True)
    try:
        tell(chapter, play(_Steps(say), base))
    finally:
        shutil.rmtree(HOME, ignore_errors=True)
    chapter.commands.append("make demo-branches")


def _settings() -> Settings:
    """With ports that are free for both: they are a step apart."""
    for port in range(9380, 20_000, 2 * branches.STEP):
        base = read_settings(feira_home=HOME, port=port)
        try:
            check_ports(base)
            check_ports(read_settings(feira_home=HOME, port=port + branches.STEP))
        except StackError:
            continue
        return base
    raise StackError("no ports are free for two branches")


def tell(chapter: Chapter, scenes: list[Scene]) -> None:
    """What was seen; a scene that shows the contrary has ended the chapter with an error."""
    columns = [Words("Cenário", "Scenario"), Words("O que se viu", "What was seen")]
    columns.append(Words("Resultado", "Result"))
    good = Words("como prometido", "as promised")
    rows: list[list[Cell]] = [[_TITLES[s.name], _seen(s.name, s.facts), good] for s in scenes]
    chapter.tables.append(Table(Words("Duas filiais", "Two branches"), columns, rows))
    chapter.checks += [Check(_TITLES[scene.name], True) for scene in scenes]
    for scene in scenes:
        if scene.name == "cut-off":
            title = Words("fila vazia depois da volta", "queue empty after the return")
            seconds = float(scene.facts["seconds"])
            chapter.figures.append(Figure("drained", title, seconds, "s", margin=0.5, floor=5))


def _seen(name: str, facts: dict[str, Any]) -> Words:
    match name:
        case "last-unit":
            text = Words("respostas {0}; estoque {1}", "answers {0}; stock {1}")
            return text.of(_listed(facts["answers"]), _stock(facts["stock"]))
        case "cut-off":
            text = Words(
                "{0} de 5 pedidos passaram, {1} eventos esperaram; {2} s depois da volta"
                " ambas veem {3}",
                "{0} of 5 orders went through, {1} events waited; {2} s after the return"
                " both see {3}",
            )
            return text.of(facts["sold"], facts["pending"], facts["seconds"], _stock(facts["here"]))
        case "forged":
            text = Words("respostas {0}; estoque {1}, igual", "answers {0}; stock {1}, the same")
            return text.of(_listed(facts["answers"]), _stock(facts["after"]))
        case _:
            return Words("ambas veem {0}", "both see {0}").of(_stock(facts["seen"]))


def _listed(values: list[int]) -> str:
    return ", ".join(map(str, values))


def _stock(units: dict[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in units.items())
