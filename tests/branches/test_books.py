"""Units between branches: never sold twice, never lost, whatever the network does."""

from __future__ import annotations

import hashlib
import random
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import psycopg2
import pytest
from sqlalchemy.exc import DBAPIError

from catalog import reservations, retirement
from catalog.problems import InsufficientStock
from catalog.reservations import Line
from chassis.ids import new_id
from tests.branches.rig import Country, Faults, House, country
from tests.figures import figure, reached
from tests.postgres_server import PostgresServer
from tests.race.rig import FULL
from tests.shop import wait_until


@pytest.fixture
def three(postgres: PostgresServer) -> Iterator[Country]:
    with country(postgres, "matriz", "filial", "litoral") as found:
        yield found


def units(three: Country, sku: str) -> Counter[str]:
    """Where the units of a product are, over all branches, by every branch's own books."""
    where: Counter[str] = Counter()
    for house in three.houses.values():
        where["available"] += house.stock(sku) or 0
        for state, quantity in house.rows(_RESERVED, sku):
            where[state] += int(quantity)
    for house in three.houses.values():
        for transfer_id, to, quantity in house.rows(_LEFT, sku, house.name):
            got = "SELECT 1 FROM stock_transfers WHERE id = %s"
            if not three.houses[to].rows(got, transfer_id):
                where["in transit"] += int(quantity)
    return where


_RESERVED = """
SELECT r.state, sum(l.quantity) FROM reservations r,
    jsonb_to_recordset(r.lines) AS l (product_id bigint, quantity bigint)
JOIN products p ON p.id = l.product_id WHERE p.sku = %s AND r.state <> 'released' GROUP BY r.state
"""
_LEFT = "SELECT id, to_branch, quantity FROM stock_transfers WHERE sku = %s AND from_branch = %s"


def books_balance(house: House) -> bool:
    """Whether every row of this branch's stock is the sum of its movements."""
    wrong = house.rows(
        "SELECT s.product_id FROM stock s LEFT JOIN stock_movements m"
        " ON m.product_id = s.product_id AND m.branch = s.branch WHERE NOT s.replica"
        " GROUP BY s.product_id, s.branch, s.available"
        " HAVING s.available <> coalesce(sum(m.delta), 0)"
    )
    return wrong == []


@pytest.mark.promise(41, minutes=11)
@pytest.mark.timeout(1200)
def test_branches_that_are_cut_off_sell_what_they_have_and_no_more(three: Country) -> None:
    attempts, seconds = (1000, 600.0) if FULL else (60, 0.0)
    rights = (
        {"matriz": 150, "filial": 100, "litoral": 50}
        if FULL
        else {"matriz": 50, "filial": 30, "litoral": 20}
    )
    houses = three.houses
    houses["matriz"].product("BOLO", sum(rights.values()))
    wait_until(lambda: all(house.stock("BOLO") is not None for house in houses.values()))
    for name in ("filial", "litoral"):
        houses["matriz"].send("BOLO", rights[name], name)
    wait_until(lambda: all(houses[name].stock("BOLO") == rights[name] for name in rights))
    three.cut()
    began = time.monotonic()

    def buy(house: House, number: int) -> str:
        if (wait := began + seconds * number / attempts - time.monotonic()) > 0:
            time.sleep(wait)
            reached(number / attempts)
        try:
            house.sell("BOLO")
        except InsufficientStock:
            return "409"
        return "sold"

    with ThreadPoolExecutor(12) as pool:
        # Side by side: whoever is first in line at each of them goes first.
        tries = [(name, number) for number in range(attempts) for name in houses]
        results = pool.map(lambda each: buy(houses[each[0]], each[1]), tries)
        ended = Counter(zip((name for name, _ in tries), results, strict=True))
        sold = {name: ended[name, "sold"] for name in houses}

    assert sold == {name: min(attempts, rights[name]) for name in rights}
    assert units(three, "BOLO") == {"committed": sum(rights.values()), "available": 0}
    three.heal()
    wait_until(three.agree, 60)
    assert [house.errors for house in houses.values()] == [[], [], []]
    figure(
        "promise 41",
        f"3 branches cut off for {time.monotonic() - began:.0f} s, {attempts} attempts each:"
        f" sold {sold} of {rights}",
    )


@pytest.mark.promise(42, minutes=6)
@pytest.mark.timeout(1200)
def test_all_branches_come_to_the_same_view_after_a_bad_network(three: Country) -> None:
    events = 50_000 if FULL else 1_500
    products, lines = (200, 20) if FULL else (30, 10)
    houses = list(three.houses.values())
    for number in range(products):
        houses[0].product(f"P{number}", 1_000_000)
    wait_until(three.agree, 120)
    for link in three.links.values():
        link.faults = Faults(drop=0.3, copies=3, late=0.3, lose_answer=0.1, let_go=0.3)
    ids = {house.name: [house.id_of(f"P{n}") for n in range(products)] for house in houses}
    for house in houses[1:]:
        house.rows("UPDATE stock SET available = 1000000 WHERE NOT replica")
        house.rows(
            "INSERT INTO stock_movements (product_id, branch, delta, kind, reference, at)"
            " SELECT product_id, branch, 1000000, 'supply', 'test', now() FROM stock"
            " WHERE NOT replica"
        )

    def write(house: House) -> int:
        chance, written = random.Random(house.name), 0
        while written < events / 3:
            chosen = [Line(i, 1) for i in chance.sample(ids[house.name], lines)]
            reservations.reserve(house.ports, new_id(), chosen, 900)
            written += lines
            if chance.random() < 0.02:
                sku = f"P{chance.randrange(products)}"
                house.edit(sku, name=f"{sku} da {house.name}, {written}")
        return written

    with ThreadPoolExecutor(3) as pool:
        written = sum(pool.map(write, houses))
    three.heal()
    began = time.monotonic()
    wait_until(three.agree, 60)
    took = time.monotonic() - began
    # What comes after everything else is as old as it was when it was held back.
    late = sum(link.let_go() for link in three.links.values())

    hashes = {hashlib.sha256(repr(house.view()).encode()).hexdigest() for house in houses}
    assert len(hashes) == 1
    assert all(books_balance(house) for house in houses)
    lost = sum(link.requests for link in three.links.values())
    figure(
        "promise 42",
        f"{written} stock events, 30 % dropped, 3 copies, shuffled, {lost} requests, {late} of them"
        " after all others:"
        f" one view {took:.1f} s after healing",
    )


@pytest.mark.promise(43, minutes=8)
@pytest.mark.timeout(1200)
def test_transfers_move_units_exactly_once_whichever_end_dies(three: Country) -> None:
    transfers = 1_000 if FULL else 24
    names, houses = list(three.houses), list(three.houses.values())
    houses[0].product("BOLO", 600)
    wait_until(three.agree)
    for name in names[1:]:
        houses[0].send("BOLO", 200, name)
    wait_until(lambda: all(house.stock("BOLO") == 200 for house in houses))
    for link in three.links.values():
        link.faults = Faults(drop=0.1, copies=2, late=0.1, lose_answer=0.2)
    done, broken, chance = threading.Event(), 0, random.Random(43)

    def break_things() -> None:
        """End every connection to the database of one branch, in whatever it is doing."""
        nonlocal broken
        while not done.wait(0.05 + chance.random() * 0.3):
            broken += chance.choice(houses).break_off()

    with ThreadPoolExecutor(4) as pool:
        breaking = pool.submit(break_things)
        sent = list(pool.map(lambda n: _send(houses[n % 3], names, n, transfers), range(transfers)))
        done.set()
        breaking.result()
    three.heal()
    wait_until(three.agree, 120)

    wait_until(lambda: units(three, "BOLO") == {"available": 600})
    assert all(books_balance(house) for house in houses)
    arrived = [
        house.rows("SELECT id FROM stock_transfers WHERE to_branch = %s", house.name)
        for house in houses
    ]
    assert sum(map(len, arrived)) == sum(sent) + 2
    assert not any(
        h.rows("SELECT 1 FROM stock_transfers WHERE state <> 'received'") for h in houses
    )
    figure(
        "promise 43",
        f"{sum(sent)} transfers, {broken} connections broken off, answers lost and repeated:"
        " 600 units before, 600 after",
    )


def _send(house: House, names: list[str], number: int, of: int) -> bool:
    """One transfer, tried again under its id until it is known what became of it."""
    reached(number / of)
    to = [name for name in names if name != house.name][number % 2]
    transfer_id = new_id()
    limit = time.monotonic() + 30
    while True:
        try:
            house.send("BOLO", 1 + number % 3, to, transfer_id)
            return True
        except InsufficientStock:
            return False
        except (DBAPIError, psycopg2.Error):
            assert time.monotonic() < limit
            time.sleep(0.05)


def test_a_branch_from_an_old_backup_spends_nothing_twice(
    three: Country, postgres: PostgresServer
) -> None:
    matriz, filial = three.houses["matriz"], three.houses["filial"]
    matriz.product("BOLO", 20)
    matriz.product("TORTA", 8)
    wait_until(three.agree)
    matriz.sell("TORTA", 1)
    held = matriz.reserve("TORTA", 1)
    wait_until(three.agree)
    backup = matriz.copy(postgres)

    matriz.send("BOLO", 6, "filial")
    matriz.sell("BOLO", 5)
    matriz.edit("BOLO", name="Bolo novo")
    matriz.product("NOVO", 3)
    reservations.release(matriz.ports, held)
    wait_until(lambda: filial.stock("BOLO") == 6)
    filial.send("BOLO", 2, "matriz")
    wait_until(lambda: matriz.stock("BOLO") == 11)
    wait_until(three.agree)
    before = matriz.view()
    matriz.close()
    restored = three.open("matriz", backup)
    assert restored.stock("BOLO") == 20, "the backup has what was sold and sent since"

    restored.deliver()

    wait_until(lambda: restored.stock("BOLO") == 11, 30)
    wait_until(lambda: _view(restored) == _view_of(before), 30)
    wait_until(three.agree, 30)
    with pytest.raises(InsufficientStock):
        restored.reserve("BOLO", 12)
    # What was held in the backup ends now; it was free again already when the branch was lost.
    reservations.release(restored.ports, held)
    assert restored.stock("TORTA") == 7
    assert books_balance(restored) and units(three, "BOLO")["in transit"] == 0
    epoch = restored.rows("SELECT epoch, rejoining FROM branch_state")
    assert epoch[0][0] > 1 and epoch[0][1] is False


def _view(house: House) -> tuple[object, object]:
    return _view_of(house.view())


def _view_of(
    view: tuple[list[tuple[object, ...]], list[tuple[object, ...]]],
) -> tuple[object, object]:
    """Without versions, which go on, and without what was held in the backup."""
    return view[0], [row[:3] for row in view[1] if row[0] != "TORTA"]


def test_a_branch_that_was_set_back_sells_nothing_until_all_peers_have_answered(
    three: Country, postgres: PostgresServer
) -> None:
    matriz, filial = three.houses["matriz"], three.houses["filial"]
    matriz.product("BOLO", 20)
    wait_until(three.agree)
    matriz.send("BOLO", 4, "filial")
    wait_until(lambda: filial.stock("BOLO") == 4)
    wait_until(three.agree)
    backup = matriz.copy(postgres)
    matriz.sell("BOLO", 11)
    wait_until(three.agree)
    matriz.close()
    restored = three.open("matriz", backup)
    three.cut(("matriz", "litoral"))

    restored.deliver()

    wait_until(lambda: restored.stock("BOLO") == 0)
    with pytest.raises(InsufficientStock):
        restored.reserve("BOLO")
    # What comes meanwhile is its own: it can be sold, and is not counted twice afterwards.
    filial.send("BOLO", 2, "matriz")
    wait_until(lambda: restored.stock("BOLO") == 2)
    restored.sell("BOLO", 1)
    three.heal()
    wait_until(lambda: restored.stock("BOLO") == 6, 30)
    wait_until(three.agree, 30)
    assert books_balance(restored)


def test_a_branch_that_joins_receives_everything(postgres: PostgresServer) -> None:
    with country(postgres, "matriz", "filial", "litoral", deliver=False) as found:
        matriz, filial, litoral = found.houses.values()
        found.cut(("matriz", "litoral"), ("filial", "litoral"))
        matriz.deliver()
        filial.deliver()
        matriz.product("BOLO", 10)
        wait_until(lambda: filial.stock("BOLO") == 0)
        filial.edit("BOLO", name="Bolo da filial")
        matriz.send("BOLO", 3, "filial")
        wait_until(lambda: filial.stock("BOLO") == 3)
        wait_until(lambda: matriz.view() == filial.view())
        wait_until(lambda: matriz.rows("SELECT state FROM stock_transfers") == [("received",)])
        # What was told long ago is not in the outbox any more.
        for house in (matriz, filial):
            house.rows("DELETE FROM outbox")

        litoral.deliver()
        found.heal()

        wait_until(found.agree, 30)
        assert litoral.rows("SELECT name FROM products") == [("Bolo da filial",)]
        assert (litoral.stock("BOLO", "matriz"), litoral.stock("BOLO", "filial")) == (7, 3)


def test_a_branch_that_retires_leaves_its_stock_to_a_peer(three: Country) -> None:
    matriz, filial = three.houses["matriz"], three.houses["filial"]
    filial.product("BOLO", 10)
    filial.product("TORTA", 4)
    wait_until(three.agree)
    held = filial.reserve("BOLO", 2)

    assert retirement.retire(filial.ports, "matriz") == 12

    wait_until(lambda: (matriz.stock("BOLO"), matriz.stock("TORTA")) == (8, 4))
    reservations.release(filial.ports, held)
    assert retirement.retire(filial.ports, "matriz") == 2
    wait_until(lambda: matriz.stock("BOLO") == 10)
    wait_until(three.agree)
    assert units(three, "BOLO") == {"available": 10}


def test_a_branch_that_runs_short_gets_units_and_409_when_it_is_cut_off(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    # On a busy machine a peer takes longer than a shopper would wait.
    monkeypatch.setattr("catalog.rebalance.SECONDS", 5.0)
    with country(postgres, "matriz", "filial", rebalance=True) as found:
        matriz, filial = found.houses["matriz"], found.houses["filial"]
        matriz.product("BOLO", 10)
        wait_until(lambda: filial.stock("BOLO", "matriz") == 10)

        filial.sell("BOLO", 3)

        assert units(found, "BOLO") == {"available": 7, "committed": 3}
        wait_until(found.agree)
        assert filial.rows("SELECT from_branch, quantity FROM stock_transfers") == [("matriz", 3)]
        # The answer is lost on the way: the units come by the event, and come once.
        found.links["filial", "matriz"].faults = Faults(lose_answer=1.0)
        with suppress(InsufficientStock):
            filial.reserve("BOLO", 2)
        wait_until(lambda: units(found, "BOLO")["in transit"] == 0)
        found.cut()
        with pytest.raises(InsufficientStock):
            filial.reserve("BOLO", 8)
        found.heal()
        wait_until(found.agree)
        assert sum(units(found, "BOLO").values()) == 10


def test_an_event_that_a_peer_refuses_is_parked_and_the_rest_goes_on(three: Country) -> None:
    matriz, filial = three.houses["matriz"], three.houses["filial"]
    matriz.product("BOLO", 10)
    wait_until(three.agree)
    # What no branch takes: written by hand, as a fault would.
    matriz.rows(
        "INSERT INTO outbox (id, type, subject, time, data)"
        " VALUES ('poison', 'product.updated', 'BOLO', now(), '{\"sku\": \"BOLO\"}')"
    )
    matriz.sell("BOLO", 4)
    wait_until(lambda: filial.stock("BOLO", "matriz") == 6)
    wait_until(lambda: len(matriz.rows("SELECT peer FROM parked_events")) == 2)
    parked = matriz.rows("SELECT event_id, reason FROM parked_events WHERE peer = 'filial'")
    assert parked[0][0] == "poison" and "ValidationError" in parked[0][1]
    wait_until(lambda: matriz.rows("SELECT max(failures) FROM outbox_cursors") == [(0,)])
