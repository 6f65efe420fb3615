"""What is measured, in the order of the table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from loadtests.bench.baselines import BARE, FLASK, KEPT, STATIC, STATIC_BYTES
from loadtests.bench.shop import LINES_OF_A_CART, Prepared

GATEWAY = "gateway"
PGBENCH = "pgbench"
POSTGRES = "postgres"
CARTS = "redis-carts"

# A token of another service: it goes past the gateway's cache and asks nothing of the catalog.
UNCACHED = {"X-Consistency-Token": "orders:0/1"}
LISTS = ["/api/products"]
POPULAR = 10
WORDS = ("brigadeiro", "bolo", "torta", "chocolate", "morango", "doce", "coco", "limao")


@dataclass(frozen=True)
class Scenario:
    """One thing to measure.

    Attributes:
        target: the server that is asked: gateway, static, flask or pgbench.
        flow: of `flows`; for pgbench `many` or `hot`.
        settles: what happens after the answers belongs to it and is waited for.
        half_of: the scenario of which half as many a second are due, instead of as many as can be.
        servers: how the names of the processes begin whose CPU time is its cost.
    """

    name: str
    title: str
    target: str
    flow: str
    data: dict[str, Any] = field(default_factory=dict)
    settles: bool = False
    half_of: str | None = None
    servers: tuple[str, ...] = ("",)

    def counts(self, process: str) -> bool:
        """Whether a process serves this: at rest all others take a little time as well.

        For Feira everything counts. What it is compared with counts as if it were alone.
        """
        beside = self.target == GATEWAY and process.startswith((STATIC, FLASK, KEPT, BARE))
        return process.startswith(self.servers) and not beside


def _reads(name: str, title: str, paths: list[str], least: int, *, cached: bool) -> Scenario:
    data: dict[str, Any] = {"paths": paths, "least_bytes": least}
    if not cached:
        data["headers"] = UNCACHED
    return Scenario(name, title, GATEWAY, "read", data)


def scenarios(shop: Prepared) -> list[Scenario]:
    """All of them, for what was prepared in the shop."""
    pages = [f"/api/products/{number}" for number in shop.pages]
    # What many look at: each page is asked of the catalog once a second however many do.
    popular = pages[:POPULAR]
    search = [f"/api/products?q={word}" for word in WORDS]
    cart = {"carts": shop.carts, "products": shop.products[:LINES_OF_A_CART]}
    many = {"tokens": shop.tokens, "products": shop.products}
    hot = {"tokens": shop.tokens, "products": shop.products[:1]}
    return [
        *_bare_servers(shop),
        _reads("list-cached", "product list, cached", LISTS, 1000, cached=True),
        _reads("page-cached", "product page, cached", popular, 100, cached=True),
        _reads("list", "product list", LISTS, 1000, cached=False),
        _reads("page", "product page", pages, 100, cached=False),
        _reads("search", "search", search, 100, cached=False),
        Scenario("cart-add", "add to cart", GATEWAY, "add_to_cart", cart),
        Scenario(
            *("cart-add-bare", "add to cart, bare", STATIC, "add_to_cart", cart),
            servers=(STATIC, f"{BARE}-cart", CARTS),
        ),
        Scenario("purchase", "purchase", GATEWAY, "purchase", many, True),
        Scenario(
            *("purchase-half", "purchase, half as many", GATEWAY, "purchase", many, True),
            half_of="purchase",
        ),
        Scenario("purchase-hot", "purchase, hot product", GATEWAY, "purchase", hot, True),
        Scenario(
            *("purchase-bare", "purchase, bare", STATIC, "purchase", many),
            servers=(STATIC, BARE, CARTS, POSTGRES),
        ),
        Scenario("pgbench", "pgbench purchase", PGBENCH, "many", servers=(POSTGRES,)),
        Scenario("pgbench-hot", "pgbench, hot product", PGBENCH, "hot", servers=(POSTGRES,)),
    ]


def _bare_servers(shop: Prepared) -> list[Scenario]:
    static = {"paths": ["/5k.json"], "least_bytes": STATIC_BYTES}
    hello = {"paths": ["/hello"], "least_bytes": 10}
    query = {"paths": [f"/products/{number}" for number in shop.pages], "least_bytes": 40}
    return [
        Scenario("static", "nginx, static 5 KB file", STATIC, "read", static, servers=(STATIC,)),
        Scenario("flask", "bare Flask, hello", FLASK, "read", hello, servers=(FLASK,)),
        Scenario("flask-kept", "the same on one core", KEPT, "read", hello, servers=(KEPT,)),
        Scenario(
            "flask-query", "bare Flask, one query", FLASK, "read", query, servers=(FLASK, POSTGRES)
        ),
        Scenario(
            *("flask-query-kept", "the same on one core", KEPT, "read", query),
            servers=(KEPT, POSTGRES),
        ),
    ]


NAMES = tuple(each.name for each in scenarios(Prepared([], [], [], [])))


def chosen(every: Sequence[Scenario], names: Sequence[str]) -> list[Scenario]:
    """Those that were asked for and what they are a half of; all when none is named.

    Raises ValueError naming what there is not.
    """
    unknown = [name for name in names if name not in NAMES]
    if unknown:
        raise ValueError(f"there is no {unknown[0]}; there are: {', '.join(NAMES)}")
    needed = {each.half_of for each in every if each.name in names}
    return [each for each in every if not names or each.name in {*names, *needed}]
