"""One, two and three instances of each service, from few clients to saturation (5.5)."""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from loadtests.bench.measure import Client
from loadtests.drills.shoppers import Account
from loadtests.report import shop
from loadtests.report.document import Cell, Chapter, Chart, Figure, Table, Words
from loadtests.report.place import Place, Say

CLIENTS = (1, 4, 16, 48)
INSTANCES = (1, 2, 3)
SECONDS = 1.5
# How near to the most a load has to come to saturate.
SATURATED = 0.95
USUAL = {"cart": 1, "catalog": 2, "orders": 1}
_PAST_THE_CACHE = {"X-Consistency-Token": "orders:0/1"}


@dataclass(frozen=True)
class Series:
    """A service, what is asked of it, and by which flow of the load generator."""

    service: str
    title: Words
    flow: str
    data: dict[str, Any]
    settles: bool = False


@dataclass(frozen=True)
class Point:
    """One load on a number of instances. Latency and CPU in milliseconds of one request."""

    instances: int
    clients: int
    per_second: float
    mean_ms: float
    p99_ms: float
    cpu_ms: float | None
    busy: float | None


def run(place: Place, chapter: Chapter, say: Say) -> None:
    """Each service by itself; the others stay as they are."""
    manager = Account(place.url, *place.admin)
    products = [shop.new_product(manager) for _ in range(20)]
    with Client() as client:
        for series in _series(place, products):
            points = []
            for instances in INSTANCES:
                say(f"{series.service}, {instances} instances")
                place.scale(series.service, instances)
                points += _points(place, client, series, instances)
            place.scale(series.service, USUAL[series.service])
            tell(chapter, series.service, series.title, points)
    shop.retire(manager, products)
    chapter.commands.append("docker compose up -d --scale cart=3")
    chapter.notes.append(
        Words(
            "{0} núcleos, divididos por todos os serviços, bancos e o gerador de carga. Por isso,"
            " além do throughput, a CPU de uma requisição (todos os servidores juntos) e o ponto de"
            " saturação: com quantos clientes sem pausa se chega a {1} % do máximo.",
            "{0} cores, shared by every service, the databases and the load generator. So beside"
            " throughput, the CPU of one request (all servers together) and the point of"
            " saturation: with how many clients without pauses {1} % of the most is reached.",
        ).of(os.cpu_count(), round(100 * SATURATED))
    )


def _series(place: Place, products: list[dict[str, Any]]) -> list[Series]:
    ids = [product["id"] for product in products]
    most = max(CLIENTS)
    people = [shop.token_of(Account.new(place.url)) for _ in range(most)]
    guest = Account.new(place.url).client
    carts = [guest.must("POST", "/api/carts")["id"] for _ in range(most)]
    pages: dict[str, Any] = {"paths": [f"/api/products/{each}" for each in ids]}
    pages |= {"least_bytes": 100, "headers": _PAST_THE_CACHE}
    cart = Words("Carrinho: adicionar um item", "Cart: add an item")
    catalog = Words("Catálogo: página de produto, sem cache", "Catalog: product page, uncached")
    orders = Words("Pedidos: compra completa", "Orders: a whole purchase")
    return [
        Series("cart", cart, "add_to_cart", {"carts": carts, "products": ids[:3]}),
        Series("catalog", catalog, "read", pages),
        Series("orders", orders, "purchase", {"tokens": people, "products": ids}, settles=True),
    ]


def _points(place: Place, client: Client, series: Series, instances: int) -> list[Point]:
    at = urlsplit(place.url)
    job = {"flow": series.flow, "host": at.hostname, "port": at.port, "data": series.data}
    # Connections, caches and plans of a new instance.
    client.run(job | {"clients": min(8, max(CLIENTS)), "seconds": 0.5})
    return [_point(place, client, series, job, instances, clients) for clients in CLIENTS]


def _point(
    place: Place,
    client: Client,
    series: Series,
    job: dict[str, Any],
    instances: int,
    clients: int,
) -> Point:
    if series.settles:
        shop.settle(place)
    before, began = place.cpu_seconds(), time.monotonic()
    done = client.run(job | {"clients": clients, "seconds": SECONDS})
    if series.settles:
        # What its events cause is a part of what a purchase costs.
        shop.settle(place)
    after, spent = place.cpu_seconds(), None
    if before is not None and after is not None:
        spent = max(0.0, sum(after.values()) - sum(before.values()))
    seconds = time.monotonic() - began
    return Point(
        instances,
        clients,
        done["count"] / done["seconds"],
        done["mean"],
        done["p99"],
        None if spent is None else 1000 * spent / done["count"],
        None if spent is None else spent / seconds / (os.cpu_count() or 1),
    )


def best(points: list[Point], instances: int) -> tuple[Point, Point]:
    """Of one number of instances: where the most was done, and where saturation begins."""
    mine = [point for point in points if point.instances == instances]
    most = max(mine, key=lambda point: point.per_second)
    knee = next(point for point in mine if point.per_second >= SATURATED * most.per_second)
    return most, knee


def tell(chapter: Chapter, service: str, title: Words, points: list[Point]) -> None:
    """The source report's own table, with what else one has to know of it."""
    columns = [
        Words("Instâncias", "Instances"),
        Words("Throughput (req/s)", "Throughput (req/s)"),
        Words("Latência (ms)", "Latency (ms)"),
        Words("p99 (ms)", "p99 (ms)"),
        Words("CPU por requisição (ms)", "CPU of one request (ms)"),
        Words("Saturação (clientes)", "Saturation (clients)"),
        Words("Ganho", "Gain"),
    ]
    one = best(points, INSTANCES[0])[1]
    rows: list[list[Cell]] = []
    for instances in INSTANCES:
        knee = best(points, instances)[1]
        gain = Words("{0} x", "{0} x").of(knee.per_second / one.per_second)
        rows.append([instances, knee.per_second, knee.mean_ms, knee.p99_ms, knee.cpu_ms])
        rows[-1] += [knee.clients, gain]
    chapter.tables.append(Table(title, columns, rows))
    names = {n: Words("{0} instância(s)", "{0} instance(s)").of(n) for n in INSTANCES}
    lines = [
        (names[n], [(p.clients, p.per_second) for p in points if p.instances == n]) for n in names
    ]
    clients, rate = Words("clientes", "clients"), Words("req/s", "req/s")
    chapter.charts.append(Chart(title, "lines", clients, rate, list(lines)))
    name = Words("throughput de 1 instância: {0}", "throughput of 1 instance: {0}").of(title)
    chapter.figures.append(Figure(f"{service}-rate", name, one.per_second, "req/s", True))
    if one.cpu_ms is not None:
        name = Words("CPU por requisição: {0}", "CPU of one request: {0}").of(title)
        chapter.figures.append(Figure(f"{service}-cpu", name, one.cpu_ms, "ms"))
    _conclude(chapter, title, points)


def _conclude(chapter: Chapter, title: Words, points: list[Point]) -> None:
    one, three = best(points, INSTANCES[0])[1], best(points, INSTANCES[-1])[1]
    text = Words(
        "{0}: com {1} instâncias, {2} vezes o throughput de uma.",
        "{0}: with {1} instances, {2} times the throughput of one.",
    )
    values: list[Any] = [title, INSTANCES[-1], three.per_second / one.per_second]
    if one.busy is not None and three.busy is not None:
        text = Words(
            text.pt
            + " Os servidores ocupavam {3} % da máquina com uma e {4} % com {1}; o resto é do"
            " gerador e do sistema.",
            text.en
            + " The servers took {3} % of the machine with one and {4} % with {1}; the rest is"
            " the generator's and the system's.",
        )
        values += [round(100 * one.busy), round(100 * three.busy)]
    chapter.analysis.append(text.of(*values))
