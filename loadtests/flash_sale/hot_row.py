"""How fast one row of stock is sold, beside what pgbench reaches on one row.

All are driven by pgbench in the same cluster with the same durability, in turns. The reservation is
the catalog's own function, which every checkout calls. The bar is beside the ideal purchase of
`make bench` (its `pgbench-hot`); the plainest update of one row shows what durability alone allows.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

import psycopg2
from psycopg2.extensions import connection as Connection
from psycopg2.extensions import make_dsn

from loadtests.bench import pgbench
from local.stack import Stack

BAR = 0.5
ROUNDS = 3
PRODUCT = 1
_SAMPLES = 200
_MANY = 1_000_000_000
_UPDATE = f"UPDATE stock SET available = available - 1 WHERE product_id = {PRODUCT};\n"
_RESERVE = (
    "SELECT reserve_stock('hot-' || gen_random_uuid(), '{branch}',"
    " '[{{\"product_id\": {product}, \"quantity\": 1}}]', now() + interval '15 min', now(),"
    " ARRAY['hot-' || gen_random_uuid()]);\n"
)
# The ways in which a commit may wait: for nothing, for this disk, for the standby's too.
COMMITS = ("off", "local", "on")


@dataclass(frozen=True)
class HotRow:
    """Transactions a second on one row, and where the time of one of them goes (milliseconds).

    Attributes:
        update, ideal: one UPDATE, and the ideal purchase: all its rows in one function.
        reserve: of the catalog's reservation.
        ratios: reserve to ideal, in each round.
        function_ms: the reservation's statement on a connection of its own.
        commit_ms: its commit, by what it waits for.
    """

    clients: int
    update: float
    ideal: float
    reserve: float
    ratios: list[float]
    function_ms: float
    commit_ms: dict[str, float]

    @property
    def ratio(self) -> float:
        """The median of the rounds."""
        return median(self.ratios)

    @property
    def met(self) -> bool:
        """Whether the bar is."""
        return self.ratio >= BAR

    def document(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self) | {"ratio": self.ratio, "bar": BAR, "met": self.met}


def measure(stack: Stack, clients: int, seconds: float, say: Callable[[str], None]) -> HotRow:
    """On a stack that is thrown away: it leaves holds of orders that never were.

    Raises StackError when pgbench cannot do its work.
    """
    commit = pgbench.synchronous_commit(stack)
    pgbench.prepare(stack, commit)
    reserve = _RESERVE.format(branch=stack.settings.node_name, product=PRODUCT)
    connecting = psycopg2.connect(make_dsn(**pgbench.leader(stack, "catalog")))
    with closing(connecting) as connection:
        connection.autocommit = True
        _stock_up(connection)
        function_ms, commit_ms = _split(connection, reserve)
    rates: dict[str, list[float]] = {"update": [], "ideal": [], "reserve": []}
    scripts = {"update": (_UPDATE, pgbench.DATABASE), "reserve": (reserve, "catalog")}
    scripts["ideal"] = (f"SELECT buy({PRODUCT});\n", pgbench.DATABASE)
    for number in range(ROUNDS):
        for name, (script, database) in scripts.items():
            say(f"one row, {name}, round {number + 1} of {ROUNDS}")
            options: dict[str, Any] = {"clients": clients, "seconds": seconds, "commit": commit}
            done = pgbench.drive(stack, script, database=database, **options)
            rates[name].append(done.count / done.seconds)
    pairs = zip(rates["reserve"], rates["ideal"], strict=True)
    middle = {name: median(values) for name, values in rates.items()}
    ratios = [mine / ideal for mine, ideal in pairs]
    return HotRow(
        clients,
        middle["update"],
        middle["ideal"],
        middle["reserve"],
        ratios,
        function_ms,
        commit_ms,
    )


def _stock_up(connection: Connection) -> None:
    with connection.cursor() as cursor:
        cursor.execute("UPDATE stock SET available = %s WHERE product_id = %s", (_MANY, PRODUCT))


def _split(connection: Connection, reserve: str) -> tuple[float, dict[str, float]]:
    """The statement alone, and the commit alone for each way of waiting; medians."""
    statements: list[float] = []
    commits: dict[str, float] = {}
    with connection.cursor() as cursor:
        for how in COMMITS:
            took = []
            for _ in range(_SAMPLES):
                cursor.execute(f"BEGIN; SET LOCAL synchronous_commit TO {how}")
                statements.append(_milliseconds(cursor, reserve))
                took.append(_milliseconds(cursor, "COMMIT"))
            commits[how] = median(took)
    return median(statements), commits


def _milliseconds(cursor: Any, statement: str) -> float:
    began = time.perf_counter()
    cursor.execute(statement)
    return (time.perf_counter() - began) * 1000
