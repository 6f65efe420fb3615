"""What the race and outage tests share: clients, figures, ledgers, kills and freezes."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import httpx
import psutil
import psycopg2
from psycopg2.extensions import connection as Connection

from local.stack import Stack
from tests.figures import figure as figure
from tests.shop import Shop, wait_until

Value = TypeVar("Value")
FULL = os.environ.get("FEIRA_FULL") == "1"


def counted(values: Iterable[object]) -> str:
    """How often each value occurs: `201 x 20, 409 x 180`."""
    return ", ".join(f"{value} x {n}" for value, n in sorted(Counter(map(str, values)).items()))


def together(works: Sequence[Callable[[], Value]], seconds: float = 60) -> list[Value]:
    """Begin all works at the same moment, each in a thread of its own; their results in order."""
    barrier = threading.Barrier(len(works))

    def run(work: Callable[[], Value]) -> Value:
        barrier.wait(20)
        return work()

    with ThreadPoolExecutor(len(works)) as pool:
        futures = [pool.submit(run, work) for work in works]
        return [future.result(seconds) for future in futures]


@contextmanager
def own_shops(stack: Stack, count: int, timeout: float = 30) -> Iterator[list[Shop]]:
    """Shops that share no connection with each other, as different shoppers do."""
    clients = [
        httpx.Client(base_url=stack.url, timeout=timeout, trust_env=False) for _ in range(count)
    ]
    try:
        yield [Shop(stack, client) for client in clients]
    finally:
        for client in clients:
            client.close()


def slug(answer: httpx.Response) -> str:
    """What kind of answer it is: the status, and the problem's name if it is one."""
    if answer.is_success:
        return str(answer.status_code)
    return f"{answer.status_code} {answer.json()['type'].rpartition('/')[2]}"


def is_problem(answer: httpx.Response) -> bool:
    """Whether it is a problem document that says what its status line says."""
    said = answer.headers["content-type"].startswith("application/problem+json")
    return said and answer.json()["status"] == answer.status_code


def rows(stack: Stack, database: str, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """The rows of a query on the primary, as the service of that database sees them."""
    with closing(connect(stack, database)) as connection:
        return ask(connection, query, *parameters)


def connect(stack: Stack, database: str) -> Connection:
    """A connection of the service of that database to the primary; to be closed."""
    connection = psycopg2.connect(stack.dsn(database, database))
    connection.autocommit = True
    return connection


def ask(connection: Connection, query: str, *parameters: object) -> list[tuple[Any, ...]]:
    """The rows of a query."""
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        return cursor.fetchall()


@dataclass(frozen=True)
class Ledger:
    """Where a product's units are, and where they came from."""

    available: int
    moved: int
    brought: int
    held: int
    sold: int

    @property
    def balanced(self) -> bool:
        """Both invariants of stock."""
        kept = self.available + self.held + self.sold
        return self.available == self.moved and self.brought == kept and self.available >= 0


_LEDGER = """
SELECT s.product_id, s.available,
    (SELECT coalesce(sum(delta), 0)::bigint FROM stock_movements m
     WHERE m.product_id = s.product_id),
    (SELECT coalesce(sum(delta), 0)::bigint FROM stock_movements m
     WHERE m.product_id = s.product_id AND m.kind IN ('supply', 'adjust')),
    (SELECT coalesce(sum(l.quantity), 0)::bigint FROM reservations r,
         jsonb_to_recordset(r.lines) AS l (product_id bigint, quantity bigint)
     WHERE r.state = 'held' AND l.product_id = s.product_id AND {among}),
    (SELECT coalesce(sum(l.quantity), 0)::bigint FROM reservations r,
         jsonb_to_recordset(r.lines) AS l (product_id bigint, quantity bigint)
     WHERE r.state = 'committed' AND l.product_id = s.product_id AND {among})
FROM stock s WHERE s.product_id = ANY (%s) ORDER BY s.product_id
"""


def ledgers(
    stack: Stack,
    product_ids: Iterable[int],
    connection: Connection | None = None,
    among: list[str] | None = None,
) -> dict[int, Ledger]:
    """The ledger of each product, all from one snapshot.

    Args:
        stack, product_ids: which products of which stack.
        connection: to ask, instead of one of its own.
        among: the only reservations there can be of them, when there are too many others.
    """
    query = _LEDGER.format(among="true" if among is None else "r.id = ANY (%s)")
    wanted = [list(product_ids)] if among is None else [among, among, list(product_ids)]
    if connection is None:
        found = rows(stack, "catalog", query, *wanted)
    else:
        found = ask(connection, query, *wanted)
    return {row[0]: Ledger(*row[1:]) for row in found}


def tree(pid: int) -> list[psutil.Process]:
    """A process and all its descendants."""
    with suppress(psutil.NoSuchProcess):
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    return []


def family(stack: Stack, name: str) -> list[psutil.Process]:
    """All processes of one name; PostgreSQL is no descendant of its Patroni."""
    node = name in stack.cluster.nodes
    return tree(stack.pid(name)) + (tree(stack.cluster.postmaster(name)) if node else [])


def kill(stack: Stack, name: str) -> int:
    """SIGKILL the process of that name (not its children); its id."""
    pid = wait_until(lambda: stack.pid(name))
    os.kill(pid, signal.SIGKILL)
    return pid


def kill_worker(stack: Stack, name: str) -> int:
    """SIGKILL the worker below a gunicorn, which lives on; the worker's id."""
    workers = wait_until(lambda: tree(stack.pid(name))[1:])
    os.kill(workers[0].pid, signal.SIGKILL)
    return workers[0].pid


def wait_back(stack: Stack, name: str, old_pid: int, seconds: float = 20) -> None:
    """Wait until a killed process runs anew under another id and, if it can say so, is ready."""
    wait_until(lambda: stack.pid(name) not in (0, old_pid), seconds)
    # Being killed again and again is what these tests are about.
    stack.readiness.forget(name)
    stack.wait_ready([name], seconds)


def wait_ready(stack: Stack, url: str, seconds: float = 20) -> None:
    """Wait until a service answers 200 to /ready."""

    def ready() -> bool:
        with suppress(httpx.HTTPError):
            return httpx.get(f"{url}/ready", timeout=2, trust_env=False).status_code == 200
        return False

    wait_until(ready, seconds)


def standby(stack: Stack) -> str:
    """Name of the PostgreSQL node that does not lead."""
    primary = stack.cluster.primary()
    return next(name for name in stack.cluster.nodes if name != primary)


def restart_postgres(stack: Stack, name: str) -> None:
    """Have a node's Patroni restart its PostgreSQL in place; every connection to it ends."""
    before = stack.cluster.postmaster(name)
    answer = httpx.post(
        f"{stack.cluster.nodes[name].rest_url}/restart",
        json={},
        auth=("patroni", stack.secrets.patroni_password),
        timeout=30,
        trust_env=False,
    )
    assert answer.status_code == 200, answer.text
    assert stack.cluster.postmaster(name) not in (0, before)


@contextmanager
def frozen(stack: Stack, *names: str) -> Iterator[None]:
    """Stop processes with all their descendants (SIGSTOP); they go on at the end.

    The PostgreSQL of a node is stopped with its Patroni.
    """
    stopped = [process for name in names for process in family(stack, name)]
    for process in stopped:
        process.suspend()
    try:
        yield
    finally:
        for process in stopped:
            with suppress(psutil.NoSuchProcess):
                process.resume()


@contextmanager
def away(stack: Stack, *names: str) -> Iterator[None]:
    """Stop processes in good order; they are started again, and awaited, at the end."""
    stack.supervisor.stop_processes(names, lambda: True)
    try:
        yield
    finally:
        for name in names:
            stack.readiness.forget(name)
            stack.supervisor.start_process(name)
        stack.wait_ready(names, 30)


def seconds_of(work: Callable[[], Value]) -> tuple[float, Value]:
    """How long it took, and its result."""
    began = time.monotonic()
    value = work()
    return time.monotonic() - began, value
