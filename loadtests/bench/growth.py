"""`python -m loadtests.bench.growth`: how cost grows with the products, carts and orders there are.

The same requests, from one client, on a shop that is filled up in between. What is judged are the
milliseconds that an answer takes at its middle: 0 when none grew beyond the bar, else 1.
"""

from __future__ import annotations

import argparse
import base64
import json
import sys
from collections.abc import Mapping
from statistics import median
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.table import Table

from loadtests.bench.crowd import Crowd
from loadtests.bench.measure import Client, Meter, Setting, measure
from loadtests.bench.report import number
from loadtests.bench.run import REPORTS, Options, context
from loadtests.bench.scenarios import GATEWAY, UNCACHED, Scenario
from loadtests.bench.shop import Prepared, Shop
from loadtests.own_stack import own_stack
from local.errors import StackError
from local.progress import Progress
from local.report import show_failure
from local.stack import Stack

SIZES = "10000,100000,1000000"
# How many times longer an answer may take at the largest size than at the smallest.
BAR = 1.5
SAMPLE = 200
MIDDLE_PRICE = 10_000
# More than `make run` allows: a million carts take some 300 MB.
CARTS_MEMORY = "2gb"

Figures = dict[str, list[tuple[float, float]]]


def main() -> int:
    """Measure and judge; a failure is told in plain words and gives 1."""
    parser = argparse.ArgumentParser(prog="python -m loadtests.bench.growth", description=__doc__)
    parser.add_argument("--time", type=float, default=2.0, help="seconds of each measurement")
    parser.add_argument("--rounds", type=int, default=3, help="of all measurements in turn")
    parser.add_argument("--sizes", default=SIZES, help="how many products, carts and orders")
    given = parser.parse_args()
    try:
        sizes = sorted({int(float(size)) for size in given.sizes.split(",")})
    except ValueError:
        parser.error(f"--sizes: {given.sizes!r} is not like {SIZES}")
    progress = Progress()
    options = Options(given.time, given.rounds, 1, ())
    try:
        with own_stack("bench", progress, redis_carts_maxmemory=CARTS_MEMORY) as stack:
            found = _measure(stack, progress, sizes, options)
            about = context(options, "")
    except StackError as error:
        show_failure(progress.console, error)
        return 1
    except KeyboardInterrupt:
        return 130
    return report(progress, sizes, found, about)


def _measure(stack: Stack, progress: Progress, sizes: list[int], options: Options) -> Figures:
    found: Figures = {}
    with Client() as client, Shop(stack) as shop:
        prepared = shop.prepare(1, 3)
        shop.settle()
        crowd = Crowd(stack, _user_of(prepared.tokens[0]))
        at = Setting(
            stack, shop, client, Meter(stack, client, {}), {GATEWAY: stack.settings.port}, 1, ""
        )
        for size in sizes:
            with progress.step(f"Filled up to {size:,} products, carts and orders"):
                crowd.grow(size)
            with progress.step("Measured"):
                for scenario in _scenarios(prepared, crowd):
                    found.setdefault(scenario.title, []).append(_figures(at, scenario, options))
    return found


def _figures(at: Setting, scenario: Scenario, options: Options) -> tuple[float, float]:
    """Milliseconds of the answer at its middle, and of CPU."""
    measure(at, scenario, 0, options.seconds / 2)
    rounds = [measure(at, scenario, n, options.seconds) for n in range(options.rounds)]
    wrong = [text for each in rounds for text in each.first_wrong]
    if wrong:
        raise StackError(f"{scenario.title}: {wrong[0]}")
    return min(each.p50 for each in rounds), median(each.total_ms for each in rounds)


def _scenarios(prepared: Prepared, crowd: Crowd) -> list[Scenario]:
    token, products = prepared.tokens[0], crowd.products(SAMPLE)
    own = {"Authorization": f"Bearer {token}"}
    middle = cursor_of("price", [MIDDLE_PRICE, products[0]])

    def reads(title: str, *paths: str, headers: Mapping[str, str] = UNCACHED) -> Scenario:
        data: dict[str, Any] = {"paths": list(paths), "least_bytes": 20, "headers": headers}
        return Scenario("growth", title, GATEWAY, "read", data)

    def buys(title: str, flow: str, **data: Any) -> Scenario:
        return Scenario("growth", title, GATEWAY, flow, data, settles=flow == "purchase")

    return [
        reads("product list", "/api/products"),
        reads("product list by price, of a category", "/api/products?sort=price&category=bolos"),
        reads("product list, in the middle", f"/api/products?sort=price&cursor={middle}"),
        reads("search, one word", *(f"/api/products?q={w}" for w in ("bolo", "figo", "queij"))),
        reads("search, two words", "/api/products?q=torta+morango", "/api/products?q=pudim+coco"),
        reads("product page", *(f"/api/products/{product}" for product in products)),
        reads("cart", *(f"/api/carts/{cart}" for cart in crowd.carts(SAMPLE)), headers={}),
        buys("add to cart", "add_to_cart", carts=prepared.carts, products=prepared.products),
        buys("purchase", "purchase", tokens=[token], products=products),
        reads("order history", "/api/orders", "/api/orders?status=delivered", headers=own),
        reads("/status", "/status", headers={}),
    ]


def cursor_of(sort: str, key: list[object]) -> str:
    """Of `GET /api/products`, as the catalog makes it."""
    text = json.dumps([sort, *key], separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).decode().rstrip("=")


def _user_of(token: str) -> str:
    claims = token.split(".")[1]
    return str(json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["sub"])


def report(progress: Progress, sizes: list[int], found: Figures, about: dict[str, object]) -> int:
    """Show and write the table; 1 when something grew beyond the bar."""
    head = ["milliseconds at the middle (CPU)", *(f"{size:,}" for size in sizes), "grew"]
    rows, beyond = [], []
    for title, figures in found.items():
        grew = figures[-1][0] / figures[0][0]
        if grew > BAR:
            beyond.append(title)
        cells = [f"{number(answer)} ({number(cpu)})" for answer, cpu in figures]
        rows.append([title, *cells, f"{grew:.2f} x"])
    table = Table(*head, box=SIMPLE_HEAD)
    for cells in rows:
        table.add_row(*cells)
    verdict = f"beyond {BAR} x: {', '.join(beyond)}" if beyond else f"met: none grew beyond {BAR} x"
    progress.console.print(table)
    progress.say_plain(verdict)
    lines = [[*head], ["---", *["---:"] * (len(head) - 1)], *rows]
    page = "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
    REPORTS.mkdir(exist_ok=True)
    stem = REPORTS / f"growth-{about['stamp']}"
    document = {"about": about, "sizes": sizes, "milliseconds_and_cpu": found}
    stem.with_suffix(".json").write_text(json.dumps(document, indent=1) + "\n", "utf-8")
    text = f"# Growth, {about['began']}\n\n{page}\n\n{verdict}\n"
    stem.with_suffix(".md").write_text(text, "utf-8")
    progress.say_plain(f"Written: {stem}.json {stem}.md")
    return 1 if beyond else 0


if __name__ == "__main__":
    sys.exit(main())
