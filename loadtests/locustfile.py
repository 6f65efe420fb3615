"""People in the shop: most look around, some fill a cart, a few buy; an operator restocks.

Who all want the same thing, and who leave an order and go, are in rushes.py.

`make load` runs it with locust's web page, `make load HEADLESS=1` with a summary and thresholds.
Answers are checked, not only their status. See docs/load-testing.md.
"""

from __future__ import annotations

import random
import uuid
from pathlib import Path
from typing import Any

from locust import events, task
from locust.env import Environment
from locust.runners import WorkerRunner

from loadtests import thresholds
from loadtests.rushes import AsyncBuyer as AsyncBuyer
from loadtests.rushes import FlashShopper
from loadtests.shopping import Shopper, check_total, require

WORDS = ("brigadeiro", "BOLO", "torta", "chocolate", "pão", "morango", "doce", "limão")
OPERATOR = "operador@feira.local"


class Browser(Shopper):
    """Looks at lists, searches and pages, and leaves."""

    weight = 12

    @task(3)
    def look_at_a_category(self) -> None:
        with self.asking("browse: categories", "GET", "/api/categories") as found:
            require(len(found["items"]) > 0, "no categories")
        slug = random.choice(found["items"])["slug"]
        self.think()
        with self.asking("browse: category", "GET", f"/api/products?category={slug}") as found:
            strangers = [p for p in found["items"] if p["category"]["slug"] != slug]
            require(not strangers, "a product of another category")

    @task(3)
    def search(self) -> None:
        path = f"/api/products?q={random.choice(WORDS)}"
        with self.asking("browse: search", "GET", path) as found:
            require(len(found["items"]) <= 20, "more than a page")

    @task(6)
    def look_at_a_product(self) -> None:
        for product in self.choose():
            self.think()
            with self.asking("browse: page", "GET", f"/api/products/{product['id']}") as page:
                require(page["sku"] == product["sku"], "another product")


class Undecided(Shopper):
    """Fills a cart, changes it, and leaves it to expire."""

    weight = 5

    @task
    def fill_a_cart(self) -> None:
        products = self.choose()
        cart_id = self.open_cart()
        for product in products:
            self.think()
            self.add(cart_id, product, 1)
        line = f"/api/carts/{cart_id}/items/{products[0]['id']}"
        with self.asking("cart: set", "PUT", line, body={"quantity": 1}) as cart:
            check_total(cart)
        self.think()
        with self.asking("cart: remove", "DELETE", line) as cart:
            left = {each["product_id"] for each in cart["items"]}
            require(products[0]["id"] not in left, "still in the cart")
        with self.asking("cart: read", "GET", f"/api/carts/{cart_id}") as cart:
            require({each["product_id"] for each in cart["items"]} == left, "another cart")


class Buyer(Shopper):
    """Has an account, buys, looks at the order, and sometimes thinks better of it."""

    weight = 3

    @task
    def buy(self) -> None:
        if not self.headers:
            self.join()
        cart_id = self.open_cart()
        for product in self.choose()[:2]:
            self.think()
            cart = self.add(cart_id, product, random.randint(1, 2))
        order = self._check_out(cart, uuid.uuid4().hex)
        self.think()
        path = f"/api/orders/{order['id']}"
        with self.asking("checkout: order", "GET", path) as found:
            require(found["total_cents"] == order["total_cents"], "another total")
        if random.random() < 0.5:
            with self.asking("checkout: cancel", "POST", f"{path}/cancel") as found:
                require(found["status"] == "cancelled", f"{found['status']} instead of cancelled")

    def _check_out(self, cart: dict[str, Any], key: str) -> dict[str, Any]:
        body = {"cart_id": cart["id"], "payment": {"method": "card", "token": "tok_ok"}}
        sent: dict[str, Any] = {"expect": 201, "body": body, "headers": {"Idempotency-Key": key}}
        path = "/api/orders"
        with self.asking("checkout: place", "POST", path, **sent) as order:
            require(order["status"] == "confirmed", f"the order is {order['status']}")
            require(_lines(order) == _lines(cart), "not what was in the cart")
            check_total(order)
        # A client that missed the answer sends it again.
        if random.random() < 0.1:
            with self.asking("checkout: again", "POST", path, **sent) as again:
                require(again["id"] == order["id"], "bought twice")
        return dict(order)


class Operator(Shopper):
    """Keeps the shelves full; there is none without its password."""

    fixed_count = 1

    def on_start(self) -> None:
        """Log in."""
        super().on_start()
        self.log_in(OPERATOR, self.environment.parsed_options.operator_password)

    @task
    def restock(self) -> None:
        path = "/api/products?sort=price&limit=100"
        with self.asking("operator: list", "GET", path) as found:
            require(len(found["items"]) > 0, "no products")
        for product in sorted(found["items"], key=lambda each: int(each["stock"]))[:5]:
            body = {"delta": 50, "reason": "load test"}
            path = f"/api/products/{product['id']}/stock-adjustments"
            with self.asking("operator: restock", "POST", path, expect=201, body=body) as after:
                require(after["id"] == product["id"], "another product")


def _lines(document: dict[str, Any]) -> list[tuple[int, int]]:
    return sorted((line["product_id"], line["quantity"]) for line in document["items"])


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _add_options(parser: Any) -> None:
    parser.add_argument("--think", type=float, default=1.0, help="factor of all think times")
    parser.add_argument("--thresholds", default=str(thresholds.FILE), help="what is asked for")
    parser.add_argument(
        "--operator-password",
        default="",
        is_secret=True,
        env_var="LOCUST_OPERATOR_PASSWORD",
        help=f"of {OPERATOR}; without it there is no operator",
    )


@events.init.add_listener  # type: ignore[untyped-decorator]
def _choose(environment: Environment, **_: object) -> None:
    """No operator without its password, and no flash sale unless it is asked for by name."""
    options = environment.parsed_options
    # A worker has all of them: it is its master who chooses.
    if options is None or isinstance(environment.runner, WorkerRunner):
        return
    left_out: set[type[Shopper]] = set() if options.operator_password else {Operator}
    left_out |= set() if "FlashShopper" in options.user_classes else {FlashShopper}
    environment.user_classes = [c for c in environment.user_classes if c not in left_out]


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def _judge(environment: Environment, **_: object) -> None:
    """Exit code 1 and the reasons, unless every threshold was kept. A worker's master judges."""
    options = environment.parsed_options
    if isinstance(environment.runner, WorkerRunner) or options is None or not options.headless:
        return
    # A load that grows until answers are late has no thresholds to keep.
    if environment.shape_class is not None:
        return
    try:
        wanted = thresholds.read(Path(options.thresholds))
    except thresholds.ThresholdsError as error:
        print(f"error: {error}")
        environment.process_exit_code = 1
        return
    lines = thresholds.broken(wanted, _seen(environment))
    for line in lines:
        print(f"not kept: {line}")
    if any(line.startswith(thresholds.LIMITED) for line in lines):
        print("The gateway limits one address: start it with RATE_PER_SECOND=100000 and the like.")
    print("Thresholds: " + (f"{len(lines)} not kept" if lines else "all kept"))
    environment.process_exit_code = int(bool(lines))


def _seen(environment: Environment) -> list[thresholds.Seen]:
    return [
        thresholds.Seen(
            entry.name,
            entry.num_requests,
            entry.num_failures,
            float(entry.get_response_time_percentile(0.95) or 0),
            float(entry.get_response_time_percentile(0.99) or 0),
        )
        for entry in environment.stats.entries.values()
    ]
