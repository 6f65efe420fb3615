"""The chapters of a report, in order: what each is for, how long it takes, and what measures it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from loadtests.report.chapters import (
    branches,
    concurrency,
    faults,
    flash,
    functional,
    races,
    scaling,
)
from loadtests.report.document import Chapter, Words
from loadtests.report.place import Place, Say
from local.errors import StackError


@dataclass(frozen=True)
class Plan:
    """One chapter to be.

    Attributes:
        source: the section of the source report that it fills.
        seconds: what it takes on two cores.
        measure: fills the chapter in; on a place that was started for the report.
        alone: the same for a chapter that starts what it needs itself.
    """

    name: str
    title: Words
    aim: Words
    seconds: float
    source: str = ""
    measure: Callable[[Place, Chapter, Say], None] | None = None
    alone: Callable[[Chapter, Say], None] | None = None

    def chapter(self) -> Chapter:
        """An empty one."""
        command = f"make report ONLY={self.name}"
        return Chapter(self.name, self.title, self.aim, self.source, commands=[command])


PLANS = (
    Plan(
        "functional",
        Words("Teste de funcionalidade", "Functional test"),
        Words("validar o fluxo completo de compra", "prove the whole flow of a purchase"),
        seconds=3,
        source="5.2",
        measure=functional.run,
    ),
    Plan(
        "concurrency",
        Words("Teste de concorrência", "Concurrency test"),
        Words(
            "100 usuários simultâneos, 1.000 requisições na lista de produtos; depois 100 clientes"
            " que navegam e compram",
            "100 users at once, 1,000 requests for the product list; then 100 shoppers who look"
            " around and buy",
        ),
        seconds=45,
        source="5.3",
        measure=concurrency.run,
    ),
    Plan(
        "scaling",
        Words("Teste de escalabilidade", "Scalability test"),
        Words(
            "escalar carrinho, catálogo e pedidos de 1 para 3 instâncias",
            "scale cart, catalog and orders from 1 to 3 instances",
        ),
        seconds=120,
        source="5.5",
        measure=scaling.run,
    ),
    Plan(
        "faults",
        Words("Teste de tolerância a falhas", "Fault tolerance test"),
        Words(
            "derrubar uma parte enquanto clientes compram, e medir o tempo até a volta e o que se"
            " perdeu",
            "lose a part while shoppers buy, and measure the time until it is back and what was"
            " lost",
        ),
        seconds=150,
        source="5.4",
        measure=faults.run,
    ),
    Plan(
        "flash",
        Words("Venda relâmpago", "Flash sale"),
        Words(
            "vender 200 unidades a 1.000 clientes que chegam juntos, pelo gateway",
            "sell 200 units to 1,000 shoppers who come together, through the gateway",
        ),
        seconds=80,
        alone=flash.run,
    ),
    Plan(
        "races",
        Words("Corridas pelo estoque", "Races for stock"),
        Words("nunca vender mais do que há", "never sell more than there is"),
        seconds=45,
        source="6.1",
        alone=races.run,
    ),
    Plan(
        "branches",
        Words("Filiais", "Branches"),
        Words(
            "vender sem a outra filial, e concordar depois",
            "sell without the other branch, and agree afterwards",
        ),
        seconds=60,
        alone=branches.run,
    ),
)
NAMES = tuple(plan.name for plan in PLANS)


def chosen(names: Sequence[str]) -> list[Plan]:
    """Those that are named, in the order of a report; all when none is.

    Raises StackError naming what there is not.
    """
    for name in names:
        if name not in NAMES:
            raise StackError(f"there is no chapter {name}; there are {', '.join(NAMES)}")
    return [plan for plan in PLANS if not names or plan.name in names]
