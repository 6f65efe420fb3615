"""Promise 4: whatever comes twice, late or in any order, stock does what a model predicts.

The machine calls the catalog's own functions on the real database, and its invariants read the
tables after every step. `FEIRA_FULL=1` makes 10,000 steps.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from catalog import products, reservations, stock
from catalog.ports import Ports
from catalog.problems import (
    InsufficientStock,
    ReservationMismatch,
    ReservationNotFound,
    ReservationReleased,
)
from catalog.products import Branch
from chassis.ids import new_id
from local.stack import Stack
from tests.figures import figure, reached
from tests.race.rig import FULL, Ledger, ask, connect, ledgers
from tests.race.stock_model import SHELVES, Items, Model

# Some examples end before their last step.
EXAMPLES, STEPS = (250, 50) if FULL else (10, 40)
UNKNOWN_PRODUCT = 9_000_000_000_000
RESERVATIONS = 5

# -1 is the product that does not exist.
some_items = st.dictionaries(
    st.sampled_from([0, 0, 1, 1, 2, 2, -1]), st.integers(1, 4), min_size=1, max_size=3
)
few_items = st.dictionaries(st.sampled_from([0, 1, 2]), st.integers(1, 2), min_size=1, max_size=2)
which = st.integers(0, RESERVATIONS - 1)


class Shelf:
    """The catalog's functions under test, and the database that they work on."""

    def __init__(self, stack: Stack, ports: Ports) -> None:
        self.stack = stack
        self.ports = ports
        self.branch = Branch(ports.branch, ports.clock)
        self.steps = 0
        self.pool = ThreadPoolExecutor(2)
        self.tables = connect(stack, "catalog")

    def new_product(self, units: int) -> int:
        """A product with this many units; its id."""
        fields = {
            "sku": f"M-{uuid.uuid4().hex[:16].upper()}",
            "name": "Produto do modelo",
            "description": "",
            "category_id": 1,
            "price_cents": 100,
            "stock": units,
            "image_url": None,
        }
        write = self.ports.database.write
        return int(write(lambda s: products.create(s, self.branch, dict(fields)).product.id))

    def change(self, work: Callable[[Any], Any]) -> Any:
        """Run a change in a transaction."""
        return self.ports.database.write(work)


def machine(shelf: Shelf) -> type[RuleBasedStateMachine]:
    """The state machine on this shelf."""

    class Stock(RuleBasedStateMachine):
        @initialize()
        def open(self) -> None:
            self.model = Model()
            self.products = [shelf.new_product(units) for units in SHELVES]
            self.ids = [new_id() for _ in range(RESERVATIONS)]

        @rule(number=which, items=some_items)
        def reserve(self, number: int, items: Items) -> None:
            expected = self.model.reserve(number, items)
            assert self._reserve(number, items) == expected

        @rule(number=which)
        def reserve_again(self, number: int) -> None:
            """A retry: the same id with the same items, whatever became of it meanwhile."""
            items = self.model.reservations.get(number, ("", {}))[1] or {0: 1}
            expected = self.model.reserve(number, items)
            assert self._reserve(number, items) == expected

        @rule(number=which)
        def commit(self, number: int) -> None:
            expected = self.model.commit(number)
            assert self._commit(number) == expected

        @rule(number=which, only_held=st.booleans())
        def release(self, number: int, only_held: bool) -> None:
            expected = self.model.release(number, only_held)
            assert self._release(number, only_held) == expected

        @rule(product=st.integers(0, 2), delta=st.integers(-4, 4).filter(bool))
        def adjust(self, product: int, delta: int) -> None:
            expected = self.model.adjust(product, delta)
            assert self._adjust(product, delta) == expected

        @rule(product=st.integers(0, 2))
        def take_off_or_put_back(self, product: int) -> None:
            active = self.model.active[product] = not self.model.active[product]
            of = self.products[product]

            def change(session: Any) -> None:
                version = products.find(session, of, shelf.branch.name)
                assert version is not None
                at = version.product.version
                products.change(session, shelf.branch, of, at, {"active": active})

            shelf.change(change)

        @rule(number=which, items=few_items)
        def reserve_twice_at_once(self, number: int, items: Items) -> None:
            """A retry that overtakes: both get the one answer."""
            expected = self.model.reserve(number, items)
            both = self._both(
                lambda: self._reserve(number, items), lambda: self._reserve(number, items)
            )
            assert both == [expected, expected]

        @rule(number=which, items=few_items)
        def reserve_and_release_at_once(self, number: int, items: Items) -> None:
            """Whichever comes first, nothing stays held under a released id."""
            orders = []
            for first in ("reserve", "release"):
                model = self.model.copy()
                released = model.release(number, False) if first == "release" else ""
                reserved = model.reserve(number, items)
                released = released or model.release(number, False)
                orders.append(([reserved, released], model))
            both = self._both(
                lambda: self._reserve(number, items), lambda: self._release(number, False)
            )
            assert both in [answers for answers, _ in orders]
            self.model = next(model for answers, model in orders if answers == both)

        @invariant()
        def stock_is_as_the_model_says(self) -> None:
            shelf.steps += 1
            reached(shelf.steps / (EXAMPLES * STEPS))
            found = ledgers(shelf.stack, self.products, shelf.tables, self.ids)
            assert [found[each] for each in self.products] == [
                self.model.ledger(product) for product in range(len(SHELVES))
            ]
            assert all(each.balanced for each in found.values())
            query = "SELECT id, state FROM reservations WHERE id = ANY (%s)"
            states = dict(ask(shelf.tables, query, self.ids))
            expected = {self.ids[n]: state for n, (state, _) in self.model.reservations.items()}
            assert states == expected

        def teardown(self) -> None:
            """All given back: the shelves are as full as what was brought."""
            if hasattr(self, "ids"):
                for reservation_id in self.ids:
                    reservations.release(shelf.ports, reservation_id)
                found = ledgers(shelf.stack, self.products, shelf.tables, self.ids)
                for each, brought in zip(self.products, self.model.brought, strict=True):
                    assert found[each] == Ledger(brought, brought, brought, 0, 0)

        def _reserve(self, number: int, items: Items) -> Any:
            ids = {-1: UNKNOWN_PRODUCT} | dict(enumerate(self.products))
            lines = [reservations.Line(ids[each], items[each]) for each in items]
            try:
                held = reservations.reserve(shelf.ports, self.ids[number], lines, 900)
            except InsufficientStock as error:
                named = error.extra["lines"]
                back = {product: position for position, product in ids.items()}
                short = {back[line["product_id"]]: line["available"] for line in named}
                requested = {back[line["product_id"]]: line["requested"] for line in named}
                assert requested == {each: items[each] for each in short}
                return short
            except (ReservationReleased, ReservationMismatch) as error:
                return type(error).__name__
            taken = {line["product_id"]: line["quantity"] for line in held["lines"]}
            assert taken == {ids[each]: items[each] for each in items}
            return held["state"]

        def _commit(self, number: int) -> str:
            try:
                reservations.commit(shelf.ports, self.ids[number])
            except (ReservationNotFound, ReservationReleased) as error:
                return type(error).__name__
            return "committed"

        def _release(self, number: int, only_held: bool) -> str:
            return reservations.release(shelf.ports, self.ids[number], only_held=only_held)

        def _adjust(self, product: int, delta: int) -> bool:
            of = self.products[product]
            try:
                shelf.change(lambda s: stock.adjust(s, shelf.branch, of, delta, "model"))
            except InsufficientStock:
                return False
            return True

        def _both(self, one: Callable[[], Any], other: Callable[[], Any]) -> list[Any]:
            futures = [shelf.pool.submit(work) for work in (one, other)]
            return [future.result(20) for future in futures]

    return Stock


@pytest.fixture
def shelf(stack: Stack, catalog_ports: Ports) -> Iterator[Shelf]:
    """The catalog's functions, and a connection to look at its tables with."""
    shelf = Shelf(stack, catalog_ports)
    with shelf.pool, closing(shelf.tables):
        yield shelf


@pytest.mark.promise(4, minutes=4)
def test_reservations_agree_with_a_model(shelf: Shelf) -> None:
    profile = hypothesis.settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        deadline=None,
        database=None,
        # A failure here is told as it was found: making it smaller takes minutes.
        phases=[hypothesis.Phase.generate],
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    run_state_machine_as_test(machine(shelf), settings=profile)
    figure("promise 4", f"{shelf.steps} steps agree with the model")
    assert shelf.steps >= (10_000 if FULL else 300)
