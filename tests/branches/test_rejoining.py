"""A branch that was set back: it closes, asks its peers, and opens with what is its own."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from catalog import branches, rejoin, reservations
from catalog.problems import InsufficientStock
from chassis.events import Event
from chassis.replication import messages
from chassis.replication.client import PeerAway
from tests.branches.counting import agreed, books_balance, units
from tests.branches.databases import copy_of
from tests.branches.links import Link
from tests.branches.rig import Country, House, country
from tests.postgres_server import PostgresServer
from tests.shop import wait_until


def state(house: House) -> tuple[int, bool]:
    """Its epoch, and whether it is closed."""
    ((epoch, rejoining),) = house.rows("SELECT epoch, rejoining FROM branch_state")
    return epoch, rejoining


def backup_before_five_went_to_litoral(three: Country, postgres: PostgresServer) -> str:
    """Of matriz, which is closed now; it had 20."""
    matriz, litoral = three.houses["matriz"], three.houses["litoral"]
    matriz.product("BOLO", 20)
    agreed(three)
    backup = copy_of(matriz.dsn, postgres)
    matriz.send("BOLO", 5, "litoral")
    wait_until(lambda: litoral.stock("BOLO") == 5)
    agreed(three)
    matriz.close()
    return backup


def open_without_litoral(three: Country, backup: str) -> None:
    """Have matriz rejoin with filial alone: litoral is out of reach, and taken out of PEERS."""
    three.cut(("matriz", "litoral"), ("filial", "litoral"))
    matriz = three.open("matriz", backup, without="litoral")
    matriz.deliver()
    wait_until(lambda: state(matriz) == (3, False), 30)
    matriz.close()


def contents(
    view: tuple[list[tuple[object, ...]], list[tuple[object, ...]]],
) -> tuple[object, object]:
    """Without versions, which go on, and without what was held in the backup."""
    return view[0], [row[:3] for row in view[1] if row[0] != "TORTA"]


def test_a_branch_from_an_old_backup_spends_nothing_twice(
    three: Country, postgres: PostgresServer
) -> None:
    matriz, filial = three.houses["matriz"], three.houses["filial"]
    matriz.product("BOLO", 20)
    matriz.product("TORTA", 8)
    agreed(three)
    matriz.sell("TORTA", 1)
    held = matriz.reserve("TORTA", 1)
    agreed(three)
    backup = copy_of(matriz.dsn, postgres)

    matriz.send("BOLO", 6, "filial")
    matriz.sell("BOLO", 5)
    matriz.edit("BOLO", name="Bolo novo")
    matriz.product("NOVO", 3)
    reservations.release(matriz.ports, held)
    wait_until(lambda: filial.stock("BOLO") == 6)
    filial.send("BOLO", 2, "matriz")
    wait_until(lambda: matriz.stock("BOLO") == 11)
    agreed(three)
    before = matriz.view()
    matriz.close()
    restored = three.open("matriz", backup)
    assert restored.stock("BOLO") == 20, "the backup has what was sold and sent since"

    restored.deliver()

    wait_until(lambda: restored.stock("BOLO") == 11, 30)
    wait_until(lambda: contents(restored.view()) == contents(before), 30)
    agreed(three, 30)
    with pytest.raises(InsufficientStock):
        restored.reserve("BOLO", 12)
    # What was held in the backup ends now; it was free again already when the branch was lost.
    reservations.release(restored.ports, held)
    assert restored.stock("TORTA") == 7
    assert books_balance(restored) and units(three, "BOLO")["in transit"] == 0
    # One for closing, one for opening again.
    assert state(restored) == (3, False)


def test_a_branch_that_was_set_back_sells_nothing_until_all_peers_have_answered(
    three: Country, postgres: PostgresServer
) -> None:
    matriz, filial = three.houses["matriz"], three.houses["filial"]
    matriz.product("BOLO", 20)
    agreed(three)
    matriz.send("BOLO", 4, "filial")
    wait_until(lambda: filial.stock("BOLO") == 4)
    agreed(three)
    backup = copy_of(matriz.dsn, postgres)
    matriz.sell("BOLO", 11)
    agreed(three)
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
    agreed(three, 30)
    assert books_balance(restored)


def test_a_restored_branch_keeps_what_its_peers_have_never_heard_of(
    three: Country, postgres: PostgresServer
) -> None:
    matriz = three.houses["matriz"]
    three.cut()
    matriz.product("BOLO", 20)
    matriz.sell("BOLO", 3)
    backup = copy_of(matriz.dsn, postgres)
    matriz.close()
    restored = three.open("matriz", backup)
    assert rejoin.close(restored.ports) and restored.stock("BOLO") == 0

    three.heal()
    restored.deliver()

    wait_until(lambda: restored.stock("BOLO") == 17, 30)
    agreed(three, 30)
    assert books_balance(restored) and restored.errors == []


def test_a_peer_that_was_not_asked_when_a_branch_rejoined_is_asked_when_it_is_back(
    three: Country, postgres: PostgresServer
) -> None:
    backup = backup_before_five_went_to_litoral(three, postgres)
    open_without_litoral(three, backup)

    three.heal()
    three.open("matriz", backup).deliver()

    wait_until(lambda: state(three.houses["matriz"]) == (5, False), 30)
    agreed(three, 30)
    assert units(three, "BOLO") == {"available": 20}
    assert books_balance(three.houses["matriz"])


def test_a_peer_whose_answer_was_not_used_is_asked_when_it_is_back(
    three: Country, postgres: PostgresServer
) -> None:
    backup = backup_before_five_went_to_litoral(three, postgres)
    restored = three.open("matriz", backup)
    assert rejoin.close(restored.ports)
    # Litoral answers and nobody else is asked, so nothing is taken up.
    question = messages.question(restored.ports, "catalog", "branch.rejoining", {"epoch": 2})
    assert (
        messages.ask(restored.ports.peers["litoral"], question, seconds=5)["answer"]["epoch"] == 2
    )
    restored.close()
    open_without_litoral(three, backup)

    three.heal()
    three.open("matriz", backup).deliver()

    wait_until(lambda: state(three.houses["matriz"]) == (5, False), 30)
    agreed(three, 30)
    assert units(three, "BOLO") == {"available": 20}


def test_a_closed_branch_whose_peers_were_all_taken_out_opens(postgres: PostgresServer) -> None:
    with country(postgres, "matriz", "filial", deliver=False) as found:
        matriz = found.houses["matriz"]
        matriz.product("BOLO", 20)
        assert rejoin.close(matriz.ports)
        matriz.close()
        alone = found.open("matriz", matriz.dsn, without="filial")

        alone.deliver()

        wait_until(lambda: alone.stock("BOLO") == 20)
        assert state(alone) == (3, False)
        assert books_balance(alone) and alone.errors == []


def test_a_question_that_comes_late_ends_no_later_epoch(three: Country) -> None:
    matriz, filial = three.houses["matriz"], three.houses["filial"]
    matriz.product("BOLO", 20)
    agreed(three)
    heard = "SELECT epoch, start FROM replica_sources WHERE branch = 'matriz'"
    ((epoch, start),) = filial.rows(heard)
    assert (epoch, start is None) == (1, False)

    def ask(in_epoch: int) -> int:
        asked = {"epoch": in_epoch}
        question = messages.question(matriz.ports, "catalog", "branch.rejoining", asked)
        answer = messages.ask(matriz.ports.peers["filial"], question, seconds=5)["answer"]
        return int(answer["epoch"])

    assert ask(1) == 2
    assert filial.rows(heard) == [(1, start)]
    matriz.close()
    assert [ask(2), ask(2), ask(1)] == [2, 2, 2]
    assert filial.rows(heard) == [(2, "over")]


def test_a_branch_that_rejoins_says_nothing_of_what_it_believes_to_have(three: Country) -> None:
    matriz, filial = three.houses["matriz"], three.houses["filial"]
    matriz.product("BOLO", 20)
    agreed(three)
    matriz.close()
    before = filial.view()
    assert rejoin.close(matriz.ports)

    for relay in branches.relays(matriz.ports):
        with pytest.raises(PeerAway, match="has not heard from all"):
            relay._sink.introduce()
        with pytest.raises(PeerAway, match="has not heard from all"):
            relay._sink.deliver([], None)

    assert filial.view() == before


def test_a_branch_that_closes_while_it_tells_everything_says_nothing_of_its_empty_shelves(
    three: Country,
) -> None:
    matriz, filial = three.houses["matriz"], three.houses["filial"]
    matriz.product("BOLO", 20)
    agreed(three)
    matriz.close()
    before = filial.view()
    relay = branches.relays(matriz.ports)[0]

    def everything() -> Iterator[Event]:
        # As when another peer's relay finds in this moment that the branch was set back.
        assert rejoin.close(matriz.ports)
        with matriz.ports.database.primary.connect() as connection:
            yield from branches.snapshot(connection, matriz.ports, "filial")

    with pytest.raises(PeerAway, match="went from epoch 1 to 2"):
        relay._sink.deliver(everything(), None)

    assert filial.view() == before
    three.open("matriz", matriz.dsn).deliver()
    wait_until(lambda: units(three, "BOLO") == {"available": 20}, 30)


def test_what_comes_late_from_a_lost_past_is_not_taken_once_the_branch_asked(
    three: Country, postgres: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    matriz, filial = three.houses["matriz"], three.houses["filial"]
    matriz.product("BOLO", 20)
    agreed(three)
    backup = copy_of(matriz.dsn, postgres)
    send, on_the_way = Link._send, list[tuple[Any, ...]]()

    def held_up(*request: Any) -> tuple[int, bytes]:
        if b"stock.transferred" in request[-1]:
            on_the_way.append(request)
            raise OSError("it takes its time")
        return send(*request)

    monkeypatch.setattr(Link, "_send", held_up)
    matriz.send("BOLO", 6, "filial")
    wait_until(lambda: len({link for link, *_ in on_the_way}) == 2)
    matriz.close()
    restored = three.open("matriz", backup)
    assert rejoin.close(restored.ports)
    take_up = rejoin._take_up

    def late(*arguments: Any) -> bool:
        """All peers have answered, and the new epoch has not begun."""
        assert {send(*request)[0] for request in on_the_way} == {409}
        return take_up(*arguments)

    monkeypatch.setattr(rejoin, "_take_up", late)

    restored.deliver()

    wait_until(lambda: state(restored) == (3, False))
    agreed(three, 30)
    assert filial.stock("BOLO") == 0
    assert units(three, "BOLO") == {"available": 20}
    assert books_balance(restored) and books_balance(filial)


def test_units_that_came_while_a_branch_was_closed_are_known_to_have_arrived(
    three: Country,
) -> None:
    matriz, filial = three.houses["matriz"], three.houses["filial"]
    filial.product("BOLO", 20)
    agreed(three)
    three.cut(("matriz", "litoral"))
    assert rejoin.close(matriz.ports)
    filial.send("BOLO", 4, "matriz")
    wait_until(lambda: matriz.stock("BOLO") == 4)

    three.heal()

    sent = "SELECT state FROM stock_transfers"
    wait_until(lambda: filial.rows(sent) == [("received",)], 30)
    agreed(three, 30)
    assert units(three, "BOLO") == {"available": 20}
