"""Units between branches: never sold twice, never lost, whatever the network does."""

from __future__ import annotations

from contextlib import suppress

import pytest

from catalog import reservations, retirement
from catalog.problems import InsufficientStock
from tests.branches.counting import agreed, units
from tests.branches.links import Faults
from tests.branches.rig import Country, country
from tests.postgres_server import PostgresServer
from tests.shop import wait_until


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

        agreed(found, 30)
        assert litoral.rows("SELECT name FROM products") == [("Bolo da filial",)]
        assert (litoral.stock("BOLO", "matriz"), litoral.stock("BOLO", "filial")) == (7, 3)


def test_a_branch_that_retires_leaves_its_stock_to_a_peer(three: Country) -> None:
    matriz, filial = three.houses["matriz"], three.houses["filial"]
    filial.product("BOLO", 10)
    filial.product("TORTA", 4)
    agreed(three)
    held = filial.reserve("BOLO", 2)

    assert retirement.retire(filial.ports, "matriz") == 12

    wait_until(lambda: (matriz.stock("BOLO"), matriz.stock("TORTA")) == (8, 4))
    reservations.release(filial.ports, held)
    assert retirement.retire(filial.ports, "matriz") == 2
    wait_until(lambda: matriz.stock("BOLO") == 10)
    agreed(three)
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
        agreed(found)
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
        agreed(found)
        assert sum(units(found, "BOLO").values()) == 10


def test_an_event_that_a_peer_refuses_is_parked_and_the_rest_goes_on(three: Country) -> None:
    matriz, filial = three.houses["matriz"], three.houses["filial"]
    matriz.product("BOLO", 10)
    agreed(three)
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
