"""What one branch tells another, and when."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text

from chassis.replication import state
from chassis.replication.client import PeerAway, PeerClient
from tests.branches.counting import agreed
from tests.branches.links import Faults
from tests.branches.rig import Country, country
from tests.postgres_server import PostgresServer
from tests.shop import wait_until


@pytest.fixture
def pair(postgres: PostgresServer) -> Iterator[Country]:
    with country(postgres, "matriz", "filial") as found:
        yield found


def test_what_a_branch_sells_is_seen_in_the_other(pair: Country) -> None:
    matriz, filial = pair.houses["matriz"], pair.houses["filial"]
    matriz.product("BOLO", 10)
    wait_until(lambda: filial.stock("BOLO", "matriz") == 10)
    assert filial.stock("BOLO") == 0

    matriz.sell("BOLO", 3)

    wait_until(lambda: filial.stock("BOLO", "matriz") == 7)
    agreed(pair)
    assert matriz.errors == filial.errors == []


def test_a_branch_that_is_cut_off_goes_on_and_catches_up(pair: Country) -> None:
    matriz, filial = pair.houses["matriz"], pair.houses["filial"]
    matriz.product("BOLO", 10)
    wait_until(lambda: filial.stock("BOLO", "matriz") == 10)
    pair.cut()

    for _ in range(4):
        matriz.sell("BOLO")
    pending = wait_until(lambda: peer_status(matriz, "filial")["pending"])

    assert pending >= 4 and filial.stock("BOLO", "matriz") == 10
    wait_until(lambda: peer_status(matriz, "filial")["breaker"] == "open")
    pair.heal()
    wait_until(lambda: filial.stock("BOLO", "matriz") == 6)
    wait_until(lambda: peer_status(matriz, "filial")["pending"] == 0)
    wait_until(lambda: peer_status(matriz, "filial")["breaker"] == "closed")


def test_a_peer_that_takes_few_events_in_time_gets_few_at_a_time(
    postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried: list[int] = []
    send = PeerClient.send

    def slow(self: PeerClient, data: bytes, *, seconds: float) -> dict[str, Any]:
        tried.append(data.count(b'"specversion"'))
        if tried[-1] > 10:
            time.sleep(0.1)
            raise PeerAway("no answer in time")
        return send(self, data, seconds=seconds)

    monkeypatch.setattr(PeerClient, "send", slow)
    monkeypatch.setattr("chassis.replication.sink.SLOW_SECONDS", 0.09)
    with country(postgres, "matriz", "filial", deliver=False) as found:
        matriz, filial = found.houses["matriz"], found.houses["filial"]
        for number in range(40):
            matriz.product(f"P{number}", 10)

        matriz.deliver()

        wait_until(lambda: filial.rows("SELECT count(*) FROM products") == [(40,)])
        wait_until(lambda: peer_status(matriz, "filial")["pending"] == 0)
        assert matriz.errors == []
    assert max(tried) > 80, "it begins with as many as it can"
    assert sum(size > 10 for size in tried) < 12, "it has learned"


def test_a_transfer_arrives_once_however_often_it_comes(pair: Country) -> None:
    matriz, filial = pair.houses["matriz"], pair.houses["filial"]
    matriz.product("BOLO", 10)
    wait_until(lambda: filial.stock("BOLO") == 0)
    pair.links["matriz", "filial"].faults = Faults(copies=3, lose_answer=0.5)

    transfer = matriz.send("BOLO", 4, "filial")
    assert matriz.send("BOLO", 4, "filial", transfer) == transfer

    wait_until(lambda: filial.stock("BOLO") == 4)
    wait_until(lambda: matriz.rows("SELECT state FROM stock_transfers") == [("received",)])
    pair.heal()
    agreed(pair)
    assert (matriz.stock("BOLO"), filial.stock("BOLO")) == (6, 4)


def test_the_outbox_is_not_kept_for_who_is_no_peer_any_more(pair: Country) -> None:
    matriz = pair.houses["matriz"]
    matriz.rows("INSERT INTO outbox_cursors (sink) VALUES ('peer:fechada'), ('bus')")
    wait_until(lambda: matriz.rows("SELECT 1 FROM outbox_cursors WHERE sink = 'peer:filial'"))
    state.forget_others(matriz.ports.database.primary, matriz.ports.peers)
    kept = matriz.rows("SELECT sink FROM outbox_cursors ORDER BY sink")
    assert kept == [("bus",), ("peer:filial",)]


def peer_status(house: object, peer: str) -> dict[str, object]:
    with house.app.test_client() as client:  # type: ignore[attr-defined]
        found: dict[str, object] = client.get("/status").json["peers"][peer]
        return found


def test_an_epoch_that_is_over_and_was_not_made_good_is_a_loss(pair: Country) -> None:
    matriz, filial = pair.houses["matriz"], pair.houses["filial"]
    heard = "SELECT epoch, start, position FROM replica_sources WHERE branch = 'matriz'"
    matriz.product("BOLO", 20)
    agreed(pair)
    ((epoch, start, position),) = filial.rows(heard)
    known = {"epoch": epoch, "start": start, "position": position}

    with matriz.ports.database.primary.connect() as connection:
        now = state.of_self(connection.execute)
        later = replace(now, epoch=now.epoch + 2)

        def is_a_loss(me: state.Self) -> bool:
            return state.was_set_back(connection.execute, "filial", known, me)

        assert [is_a_loss(now), is_a_loss(later)] == [False, True]
        made_good = text("INSERT INTO made_good (peer, epoch) VALUES ('filial', :epoch)")
        connection.execute(made_good, {"epoch": later.epoch})
        assert is_a_loss(later) is False
