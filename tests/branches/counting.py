"""Where the units of a product are, by the books of all branches, and whether these agree."""

from __future__ import annotations

from collections import Counter

from tests.branches.apart import Apart
from tests.branches.rig import Country, House
from tests.shop import wait_until


def agreed(found: Country | Apart, seconds: float = 15.0) -> None:
    """Wait until all branches have the same view; tells how each stands when they do not."""
    try:
        wait_until(found.agree, seconds)
    except AssertionError as error:
        lines = [str(error)]
        for name, house in found.houses.items():
            lines += [f"{name}: {query}: {house.rows(query)}" for query in _STANDING]
            lines += [f"{name} alone: {row}" for row in sorted(_rows(house) - _common(found))[:9]]
        raise AssertionError("\n".join(lines)) from None


def _rows(house: House) -> set[str]:
    return {repr(row) for rows in house.view() for row in rows}


def _common(found: Country | Apart) -> set[str]:
    return set.intersection(*map(_rows, found.houses.values()))


_STANDING = (
    "SELECT epoch, rejoining FROM branch_state",
    "SELECT * FROM outbox_cursors",
    "SELECT * FROM replica_sources",
    "SELECT peer, event_id, reason FROM parked_events LIMIT 5",
    "SELECT count(*), max(seq) FROM outbox",
    "SELECT branch, count(*), sum(available), sum(version) FROM stock GROUP BY branch ORDER BY 1",
)


def units(found: Country | Apart, sku: str) -> Counter[str]:
    """Where the units of a product are, over all branches, by every branch's own books."""
    where: Counter[str] = Counter()
    for house in found.houses.values():
        where["available"] += house.stock(sku) or 0
        for state, quantity in house.rows(_RESERVED, sku):
            where[state] += int(quantity)
    for house in found.houses.values():
        for transfer_id, to, quantity in house.rows(_LEFT, sku, house.name):
            got = "SELECT 1 FROM stock_transfers WHERE id = %s"
            if not found.houses[to].rows(got, transfer_id):
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
