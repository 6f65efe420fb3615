"""Products are edited anywhere; everywhere the same edit wins, and the loser is kept."""

from __future__ import annotations

import random
from itertools import permutations

from sqlalchemy.orm import Session

from chassis.replication import shared
from chassis.replication.shared import Edit
from tests.branches.counting import agreed
from tests.branches.databases import fresh_database
from tests.branches.links import Faults
from tests.branches.rig import Country
from tests.events.rig import fresh_engine
from tests.postgres_server import PostgresServer
from tests.race.rig import FULL
from tests.shop import wait_until


def test_concurrent_edits_have_one_winner_and_the_loser_is_kept(three: Country) -> None:
    houses = three.houses
    houses["matriz"].product("BOLO", 5)
    agreed(three)
    three.cut()
    for name, house in houses.items():
        house.edit("BOLO", name=f"Bolo da {name}", price_cents=1000 + len(name))

    three.heal()

    agreed(three)
    (winner,) = houses["matriz"].rows("SELECT name FROM products WHERE sku = 'BOLO'")
    names = {f"Bolo da {name}" for name in houses}
    kept = "SELECT document->>'name' FROM lost_edits WHERE key = 'BOLO'"
    for house in houses.values():
        # The last of them may still be on its way to the branch that won.
        wait_until(lambda at=house: {row[0] for row in at.rows(kept)} == names - {winner[0]})  # type: ignore[misc]
        assert house.errors == []


def test_an_edit_upon_an_edit_loses_nothing(three: Country) -> None:
    houses = three.houses
    houses["matriz"].product("BOLO", 5)
    for name in ("matriz", "filial", "litoral", "matriz"):
        agreed(three)
        houses[name].edit("BOLO", name=f"Depois da {name}")
    agreed(three)
    assert houses["filial"].rows("SELECT name FROM products") == [("Depois da matriz",)]
    assert [house.rows("SELECT * FROM lost_edits") for house in houses.values()] == [[], [], []]


def test_categories_that_were_made_at_once_come_to_the_same(three: Country) -> None:
    three.cut()
    for house in three.houses.values():
        house.product(f"DE-{house.name.upper()}", 1)
    three.heal()
    agreed(three)
    slugs = [house.rows("SELECT slug, name FROM categories") for house in three.houses.values()]
    assert slugs == [[("bolos", "Bolos")]] * 3


def test_edits_in_a_bad_network_come_to_the_same(three: Country) -> None:
    chance = random.Random(7)
    houses = list(three.houses.values())
    for number in range(4):
        houses[number % 3].product(f"P{number}", 10)
        agreed(three)
    for link in three.links.values():
        link.faults = Faults(drop=0.3, lose_answer=0.2, copies=2, late=0.3)
    for number in range(300 if FULL else 20):
        house = chance.choice(houses)
        house.edit(f"P{chance.randrange(4)}", name=f"Nome {number}", active=chance.random() < 0.8)
    three.heal()
    agreed(three, 30)
    assert [house.errors for house in houses] == [[], [], []]


def test_the_winner_does_not_depend_on_the_order_of_arrival(postgres: PostgresServer) -> None:
    """Three edits of which one was made upon another, in every order."""
    edits = {
        "one": Edit(5, "matriz"),
        "two": Edit(9, "matriz", 5, "matriz"),
        "aside": Edit(9, "filial"),
    }
    engine = fresh_engine(fresh_database(postgres, "catalog"))
    winners = []
    for number, order in enumerate(permutations(edits)):
        here: dict[str, dict[str, str]] = {}
        with Session(engine) as session:
            for name in order:
                if shared.wins(
                    session.execute,
                    ("product", str(number)),
                    edits[name],
                    {"name": name},
                    lambda here=here: here.get("it"),  # type: ignore[misc]
                ):
                    here["it"] = {"name": name}
            lost = [
                each["document"]["name"]
                for each in shared.lost(session.execute, "product", str(number))
            ]
            session.commit()
        winners.append(here["it"]["name"])
        assert "aside" in lost and "two" not in lost
    assert winners == ["two"] * 6
