"""A reservation looks at stock and prices before it locks: what changes in between counts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from typing import Any

import psycopg2
import pytest

from catalog import reservations
from catalog.ports import Ports
from catalog.problems import InsufficientStock
from catalog.reservations import Line
from chassis import deadline
from chassis.ids import new_id
from local.stack import Stack
from tests.figures import figure
from tests.race.rig import counted, ledgers, rows, together
from tests.shop import Shop, wait_until

WAITING = """
SELECT count(*) FROM pg_stat_activity
WHERE application_name = 'race-tests' AND wait_event_type = 'Lock'
"""


@pytest.fixture
def given_back(catalog_ports: Ports) -> Iterator[list[str]]:
    """Reservations that end with the test: they have no order, and an audit would say so."""
    taken: list[str] = []
    yield taken
    for each in taken:
        reservations.release(catalog_ports, each)


@contextmanager
def busy(stack: Stack, product: int, change: str) -> Iterator[Callable[[], None]]:
    """The product's stock locked by somebody who changes something and has not committed yet."""
    with closing(psycopg2.connect(stack.dsn("catalog", "catalog"))) as connection:
        with connection.cursor() as cursor:
            cursor.execute("SELECT FROM stock WHERE product_id = %s FOR UPDATE", (product,))
            cursor.execute(change, {"product": product})
        yield connection.commit


@contextmanager
def waiting(
    stack: Stack, catalog_ports: Ports, lines: list[Line]
) -> Iterator[tuple[str, Future[dict[str, Any]]]]:
    """A reservation that waits for a row."""
    mine = new_id()
    with ThreadPoolExecutor(1) as pool:
        held = pool.submit(reservations.reserve, catalog_ports, mine, lines, 900)
        wait_until(lambda: rows(stack, "catalog", WAITING)[0][0] == 1)
        yield mine, held


def test_a_price_that_is_edited_while_a_reservation_waits_is_the_price(
    stack: Stack, shop: Shop, catalog_ports: Ports
) -> None:
    product = shop.new_product(stock=5, price_cents=1000)["id"]
    edit = "UPDATE products SET price_cents = 1200, version = version + 1 WHERE id = %(product)s"

    wanted = [Line(product, 2)]
    with (
        busy(stack, product, edit) as commit,
        waiting(stack, catalog_ports, wanted) as (mine, held),
    ):
        commit()
        lines = held.result(10)["lines"]

    assert [(line["quantity"], line["unit_price_cents"]) for line in lines] == [(2, 1200)]
    assert ledgers(stack, [product])[product].held == 2
    reservations.release(catalog_ports, mine)


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE stock SET available = 1 WHERE product_id = %(product)s",
        "UPDATE products SET active = false, version = version + 1 WHERE id = %(product)s",
    ],
    ids=["sold", "taken off sale"],
)
def test_what_goes_while_a_reservation_waits_is_not_held(
    stack: Stack, shop: Shop, catalog_ports: Ports, change: str
) -> None:
    plenty, scarce = (shop.new_product(stock=5)["id"] for _ in range(2))

    wanted = [Line(plenty, 1), Line(scarce, 2)]
    with (
        busy(stack, scarce, change) as commit,
        waiting(stack, catalog_ports, wanted) as (mine, held),
    ):
        commit()
        with pytest.raises(InsufficientStock) as short:
            held.result(10)

    left = 1 if "stock" in change else 0
    assert short.value.extra["lines"] == [{"product_id": scarce, "requested": 2, "available": left}]
    traces = "SELECT reference FROM stock_movements WHERE reference = %s"
    assert rows(stack, "catalog", traces, mine) == []
    assert shop.stock(plenty) == 5
    # What the test took by hand has no movement: it goes back, or the books would not balance.
    back = "UPDATE stock SET available = 5 WHERE product_id = %s RETURNING available"
    assert rows(stack, "catalog", back, scarce) == [(5,)]


def test_who_is_told_that_nothing_is_left_does_not_wait_for_who_buys(
    stack: Stack, shop: Shop, catalog_ports: Ports, given_back: list[str]
) -> None:
    product = shop.new_product(stock=1)["id"]
    given_back.append(new_id())
    reservations.reserve(catalog_ports, given_back[0], [Line(product, 1)], 900)

    with busy(stack, product, "SELECT 1"), deadline.within(5), pytest.raises(InsufficientStock):
        reservations.reserve(catalog_ports, new_id(), [Line(product, 1)], 900)


def test_calls_of_one_reservation_at_once_are_all_told_the_same(
    stack: Stack, shop: Shop, catalog_ports: Ports, given_back: list[str]
) -> None:
    told: list[object] = []
    for _ in range(20):
        product, mine = shop.new_product(stock=1)["id"], new_id()
        given_back.append(mine)

        def reserve(number: int = product, reservation: str = mine) -> str:
            lines = [Line(number, 1)]
            return str(reservations.reserve(catalog_ports, reservation, lines, 900)["state"])

        told += together([reserve] * 8)
        ledger = ledgers(stack, [product])[product]
        assert (ledger.available, ledger.held, ledger.balanced) == (0, 1, True)
    figure("trap 4", f"20 reservations of the last unit, 8 calls of each at once: {counted(told)}")
    assert told == ["held"] * 160


def test_a_repeated_call_waits_for_the_standby_as_the_first_one_does(
    stack: Stack, shop: Shop, catalog_ports: Ports, given_back: list[str]
) -> None:
    product, mine = shop.new_product(stock=2)["id"], new_id()
    given_back.append(mine)
    reservations.reserve(catalog_ports, mine, [Line(product, 1)], 900)
    wanted = f'[{{"product_id": {product}, "quantity": 1}}]'
    again = (
        "SELECT reserve_stock(%s, %s, CAST(%s AS jsonb), now(), now(), ARRAY['unused'])"
        " ->> 'outcome'"
    )
    with (
        closing(psycopg2.connect(stack.dsn("catalog", "catalog"))) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(again, (mine, catalog_ports.branch, wanted))
        assert cursor.fetchall() == [("held",)]
        # Only a transaction that wrote something has a commit to wait for.
        cursor.execute("SELECT pg_current_xact_id_if_assigned() IS NOT NULL")
        assert cursor.fetchall() == [(True,)]
