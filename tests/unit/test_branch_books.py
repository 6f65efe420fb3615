"""What the audit between branches finds, and what it lets pass."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest

from local import branch_books
from local.branch_books import Read

UNITS = "over all branches: supplied + adjusted = available + held + sold + in transit"
ARRIVED = "every transfer left once and arrived once"
SEEN = "every branch sees the stock of the others as it is"
PRODUCTS = "products are the same everywhere"
CUSTOMERS = "customers are the same everywhere"
ORDERS = "every branch sees the orders of the others as they are"

STOCK = [("BOLO", "matriz", 6, 3, 4, 0), ("BOLO", "filial", 3, 2, 0, 4)]
SENT = ("t1", "BOLO", "matriz", "filial", 4, "received")
PRODUCT = ("BOLO", "Bolo", "", 1000, "BRL", None, True, "bolos", "Bolos")
ANA = ("ana@example.com", "Ana")
ORDER = ("o1", "confirmed", 1000, 3)

LOST = ("o0", "confirmed", 700, 5)


def two() -> dict[str, Read]:
    """Ten units were brought to matriz; four went to filial, which sold one."""
    return {
        "matriz": Read(
            stock=STOCK,
            ledger=[("BOLO", 10, 6, 0, 0)],
            transfers=[SENT],
            products=[PRODUCT],
            customers=[ANA],
            epoch=[(1,)],
            own_orders=[],
            other_orders=[("filial", *ORDER, 2)],
        ),
        "filial": Read(
            stock=list(reversed(STOCK)),
            ledger=[("BOLO", 0, 3, 0, 1)],
            transfers=[SENT],
            products=[PRODUCT],
            customers=[ANA],
            epoch=[(2,)],
            own_orders=[ORDER],
            other_orders=[],
        ),
    }


def broken(read: dict[str, Read]) -> set[str]:
    return {finding.invariant for finding in branch_books.look(read)[0]}


def test_books_that_agree_hold_and_everything_was_looked_at() -> None:
    findings, checked = branch_books.look(two())
    assert findings == set()
    assert list(checked) == [UNITS, ARRIVED, SEEN, PRODUCTS, CUSTOMERS, ORDERS]
    assert all(checked.values())


@pytest.mark.parametrize(
    ("branch", "changed", "invariant"),
    [
        ("filial", {"ledger": [("BOLO", 0, 3, 0, 2)]}, UNITS),
        ("filial", {"ledger": [("BOLO", 0, 3, 0, 0)]}, UNITS),
        ("matriz", {"transfers": []}, ARRIVED),
        ("matriz", {"transfers": [(*SENT[:5], "sent")]}, ARRIVED),
        ("filial", {"transfers": [(*SENT[:4], 5, "received")]}, ARRIVED),
        ("matriz", {"stock": STOCK[:1]}, SEEN),
        ("filial", {"products": [(*PRODUCT[:3], 999, *PRODUCT[4:])]}, PRODUCTS),
        ("filial", {"customers": []}, CUSTOMERS),
        ("matriz", {"other_orders": [("filial", "o1", "cancelled", 1000, 4, 2)]}, ORDERS),
        ("matriz", {"other_orders": [("filial", "o1", "cancelled", 1000, 2, 1)]}, ORDERS),
        ("matriz", {"other_orders": [("filial", *ORDER, 2), ("filial", *LOST, 2)]}, ORDERS),
        ("matriz", {"other_orders": []}, ORDERS),
    ],
)
def test_what_does_not_agree_is_found(branch: str, changed: dict[str, Any], invariant: str) -> None:
    read = two()
    read[branch] = replace(read[branch], **changed)
    assert broken(read) == {invariant}


def test_units_in_transit_are_in_the_books() -> None:
    read = two()
    read["matriz"] = replace(read["matriz"], transfers=[(*SENT[:5], "sent")])
    read["filial"] = replace(read["filial"], transfers=[], ledger=[("BOLO", 0, 0, 0, 0)])
    assert broken(read) == set()


def test_an_order_that_a_branch_lost_with_a_backup_may_stay_where_it_was_heard_of() -> None:
    read = two()
    orders = [("filial", *ORDER, 2), ("filial", *LOST, 1)]
    read["matriz"] = replace(read["matriz"], other_orders=orders)
    assert broken(read) == set()


def test_what_was_read_passes_through_json() -> None:
    for read in two().values():
        assert Read.of(json.loads(json.dumps(read.document()))) == read


def test_what_is_on_its_way_counts_only_if_it_stays_so() -> None:
    late = two()
    late["matriz"] = replace(late["matriz"], other_orders=[])
    looks = [late, two()]
    said: list[str] = []
    assert branch_books.audit(lambda: looks.pop(0), settle_seconds=5, say=said.append) == 0
    assert said[-1] == "audit: all hold between branches"
    assert branch_books.audit(lambda: late, settle_seconds=0, say=said.append) == 1
    assert said[-1] == "audit: 1 rows differ"
    assert any("BROKEN" in line and ORDERS in line for line in said)
