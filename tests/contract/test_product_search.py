"""Search: which words find a product, in which order they count, and how many are found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product as every
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import create_engine
from sqlalchemy.engine import Engine
from sqlalchemy.orm import Session

from catalog import search
from catalog.search import Wanted
from local.stack import Stack
from tests.contract.shelf import Shelf
from tests.race.rig import connect, rows
from tests.shop import Shop

SEARCHED = [
    ("pão", ["Pão de açúcar"]),
    ("PAO", ["Pão de açúcar"]),
    ("PÃES", ["Pães de mel"]),
    ("acucar", ["Pão de açúcar"]),
    ("açúcares", ["Pão de açúcar"]),
    ("brigadeiros", ["Brigadeiro branco"]),
    ("brigad", ["Brigadeiro branco"]),
    ("mel pães", ["Pães de mel"]),
    ("mel brigadeiro", []),
    ("recheados", ["Brigadeiro branco"]),
    ("branc recheado", ["Brigadeiro branco"]),
    ("xyzzy", []),
    ("pão & açúcar | mel:*", []),
    ("'); DROP TABLE products; --", []),
    ("!!! ---", []),
]


@pytest.fixture(scope="module")
def three(shop: Shop) -> Shelf:
    shelf = Shelf(shop)
    shelf.put("Pães de mel")
    shelf.put("Pão de açúcar", description="Doce da serra")
    shelf.put("Brigadeiro branco", description="Vem recheado com uva")
    return shelf


@pytest.mark.parametrize(("q", "names"), SEARCHED)
def test_search(three: Shelf, q: str, names: list[str]) -> None:
    assert three.names(q=q) == names


MANY = """
WITH made AS (
    INSERT INTO products (sku, name, description, category_id, price_cents, image_url)
    SELECT %s || '-' || n, %s || ' n.º ' || lpad(n::text, 3, '0'), '', %s, n, '/images/bolo.svg'
    FROM generate_series(1, 510) AS n RETURNING id)
INSERT INTO stock (product_id, branch, available) SELECT id, %s, 0 FROM made RETURNING 1
"""


def test_a_search_finds_500_products_at_the_most(stack: Stack, shelf: Shelf) -> None:
    branch = stack.settings.node_name
    rows(stack, "catalog", MANY, shelf.mark, shelf.mark, shelf.category["id"], branch)

    found: list[int] = []
    cursor: dict[str, Any] = {}
    while True:
        page = shelf.page(q=shelf.mark, sort="price", limit=100, **cursor)
        found += [product["price_cents"] for product in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}

    assert len(found) == 500 and found == sorted(set(found))
    # The bound is on what fits, filters included: whoever asks for less gets all of it.
    cheap = shelf.page(q=shelf.mark, sort="-price", max_price_cents=90, limit=100)
    assert [product["price_cents"] for product in cheap["items"]] == list(range(90, 0, -1))
    assert len(shelf.page(limit=100)["items"]) == 100


@dataclass(frozen=True)
class Made:
    """A product that was written straight into the database."""

    words: tuple[str, ...]
    active: bool
    price_cents: int
    units: int

    def has(self, asked: list[str]) -> bool:
        """Whether each is a word of it."""
        return all(word in self.words for word in asked)

    def begins(self, asked: list[str]) -> bool:
        """Whether each begins a word of it."""
        return all(any(own.startswith(word) for own in self.words) for word in asked)


# Some of the first products and of the next, which have indexes of their own, and some far behind.
MIXED = """
WITH made AS (
    INSERT INTO products (id, sku, name, description, category_id, price_cents, image_url, active)
    OVERRIDING SYSTEM VALUE
    VALUES (%s, %s, %s, '', %s, %s, '/images/bolo.svg', %s) RETURNING id),
supplied AS (
    INSERT INTO stock_movements (product_id, branch, delta, kind, reference, at)
    SELECT id, %s, %s, 'supply', 'first supply', now() FROM made WHERE %s > 0)
INSERT INTO stock (product_id, branch, available) SELECT id, %s, %s FROM made RETURNING product_id
"""
FREE = """
SELECT n FROM generate_series(%s, %s) AS n WHERE NOT EXISTS (SELECT FROM products WHERE id = n)
"""
ENDINGS = ("1", "12", "2", "21")


@pytest.fixture(scope="module")
def mixed(stack: Stack, shop: Shop) -> tuple[Shelf, dict[int, Made]]:
    shelf = Shelf(shop)
    branch = stack.settings.node_name
    around = (24_900, 25_100), (249_900, 250_100)
    free = sorted(int(row[0]) for ends in around for row in rows(stack, "catalog", FREE, *ends))
    first = [number for number in free if number <= 25_000][-16:]
    following = [number for number in free if 25_000 < number <= 250_000]
    last = [number for number in free if number > 250_000][:15]
    places = [*first, *following[:8], *following[-8:], *last, 3_000_000_000 + int(shelf.mark, 16)]
    made: dict[int, Made] = {}
    kinds = every(((0,), (1,), (2,), (0, 2), (1, 3), (1, 2)), (True, False), (100, 300), (0, 5))
    for number, (endings, active, price, units) in enumerate(kinds):
        words = tuple(f"w{shelf.mark}{ENDINGS[each]}" for each in endings)
        found = Made(words, active, price, units)
        place = places[number // 3 + number % 3 * 16]
        key = (place, f"{shelf.mark}-{number}", " ".join(words), shelf.category["id"])
        rows(stack, "catalog", MIXED, *key, price, active, branch, units, units, branch, units)
        made[place] = found
    return shelf, made


@pytest.fixture(scope="module")
def engine(stack: Stack) -> Iterator[Engine]:
    opened = create_engine("postgresql+psycopg2://", creator=lambda: connect(stack, "catalog"))
    yield opened
    opened.dispose()


@settings(deadline=None)
@given(
    endings=st.lists(st.sampled_from(ENDINGS[:3]), min_size=1, max_size=2, unique=True),
    active=st.booleans(),
    cheapest=st.sampled_from([None, 200]),
    dearest=st.sampled_from([None, 200]),
    in_stock=st.sampled_from([None, True, False]),
    most=st.integers(1, 20),
)
def test_whole_words_count_before_their_beginnings_and_none_is_found_twice(
    stack: Stack,
    mixed: tuple[Shelf, dict[int, Made]],
    engine: Engine,
    endings: list[str],
    active: bool,
    cheapest: int | None,
    dearest: int | None,
    in_stock: bool | None,
    most: int,
) -> None:
    shelf, made = mixed
    asked = [f"w{shelf.mark}{ending}" for ending in endings]
    slug = shelf.category["slug"]
    wanted = Wanted(slug, " ".join(asked), cheapest, dearest, in_stock, "name", 20, None, active)
    with pytest.MonkeyPatch.context() as patch, Session(engine) as session:
        patch.setattr(search, "MOST_FOUND", most)
        page, _ = search.page(session, stack.settings.node_name, wanted)
        found = [offer.product.id for offer in page]

    fitting = {
        number: each
        for number, each in made.items()
        if each.active is active
        and (cheapest or 100) <= each.price_cents <= (dearest or 300)
        and (in_stock is None or (each.units > 0) is in_stock)
    }
    begun = {number for number, each in fitting.items() if each.begins(asked)}
    whole = {number for number, each in fitting.items() if each.has(asked)}
    assert set(found) <= begun and len(found) == len(set(found)) == min(most, len(begun))
    assert len(whole & set(found)) == min(most, len(whole))
