"""The books of several branches held against each other: nothing is made or lost on the way, and
all see the same.

Each branch's databases are read in snapshots of their own, of slightly different moments. What
breaks an invariant counts only if it is still so after a while; while branches are cut off from
each other their views do differ, and the audit says so.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

from local.audit_queries import Finding

SETTLE_SECONDS = 60.0
Rows = list[tuple[Any, ...]]


@dataclass(frozen=True)
class Read:
    """What was read of one branch."""

    stock: Rows
    ledger: Rows
    transfers: Rows
    products: Rows
    customers: Rows
    epoch: Rows
    own_orders: Rows
    other_orders: Rows

    def document(self) -> dict[str, Any]:
        """The same for JSON."""
        return asdict(self)

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> Self:
        """What `document` said."""
        return cls(**{name: [tuple(row) for row in rows] for name, rows in document.items()})


def audit(
    read: Callable[[], dict[str, Read]],
    *,
    settle_seconds: float = SETTLE_SECONDS,
    say: Callable[[str], None] = print,
) -> int:
    """Check all branches together; 0 if all holds, 1 if not.

    Args:
        read: reads every branch once, by name.
        settle_seconds: how long something that is under way may take.
        say: takes the report, line by line.
    """
    say("between branches")
    limit = time.monotonic() + settle_seconds
    findings, checked = look(read())
    while findings and time.monotonic() < limit:
        time.sleep(0.5)
        again, checked = look(read())
        findings &= again
    names = {finding.invariant for finding in findings}
    for invariant, count in checked.items():
        say(f"  {'BROKEN' if invariant in names else 'holds '}  {invariant} ({count} checked)")
    for finding in sorted(findings, key=str)[:50]:
        say(f"          {finding}")
    say(f"audit: {len(findings)} rows differ" if findings else "audit: all hold between branches")
    return 1 if findings else 0


def look(read: dict[str, Read]) -> tuple[set[Finding], dict[str, int]]:
    """Everything that one look finds broken, and how much of each kind was checked."""
    found: set[Finding] = set()
    checked: dict[str, int] = {}
    for invariant, check in CHECKS.items():
        broken, count = check(read)
        checked[invariant] = count
        found |= {Finding(invariant, subject, detail) for subject, detail in broken}
    return found, checked


Broken = tuple[list[tuple[str, str]], int]


def _units_are_conserved(read: dict[str, Read]) -> Broken:
    """By SKU over all branches: supplied + adjusted = available + held + sold + in transit."""
    brought: dict[str, int] = defaultdict(int)
    kept: dict[str, int] = defaultdict(int)
    for each in read.values():
        for sku, came, available, held, sold in each.ledger:
            brought[sku] += came
            kept[sku] += available + held + sold
    for sku, quantity in _in_transit(read).values():
        kept[sku] += quantity
    return [
        (f"product {sku}", f"{brought[sku]} brought in, {kept[sku]} accounted for")
        for sku in brought
        if brought[sku] != kept[sku]
    ], len(brought)


def _in_transit(read: dict[str, Read]) -> dict[str, tuple[str, int]]:
    """Transfers whose other end has not got them: id to SKU and units."""
    got = {(name, row[0]) for name, each in read.items() for row in each.transfers}
    return {
        transfer_id: (sku, quantity)
        for name, each in read.items()
        for transfer_id, sku, sender, to, quantity, _ in each.transfers
        if sender == name and (to, transfer_id) not in got
    }


def _both_ends_agree(read: dict[str, Read]) -> Broken:
    ends: dict[str, dict[str, tuple[Any, ...]]] = defaultdict(dict)
    for name, each in read.items():
        for row in each.transfers:
            ends[row[0]][name] = row
    broken = []
    for transfer_id, known in ends.items():
        _, _, sender, to, *_ = next(iter(known.values()))
        if sender not in known and sender in read:
            broken.append((f"transfer {transfer_id}", f"{to} received what {sender} never sent"))
        elif len({row[1:5] for row in known.values()}) > 1:
            broken.append((f"transfer {transfer_id}", f"the ends differ: {known}"))
        elif to in known and sender in known and known[sender][5] != "received":
            broken.append((f"transfer {transfer_id}", f"{sender} does not know that it arrived"))
    return broken, len(ends)


def _stock_is_seen_as_it_is(read: dict[str, Read]) -> Broken:
    truth = {row[:2]: row for name, each in read.items() for row in each.stock if row[1] == name}
    broken, count = [], 0
    for name, each in read.items():
        seen = {row[:2]: row for row in each.stock}
        count += len(truth)
        broken += [
            (f"stock of {key[0]} at {key[1]}", f"is {row[2:]}, {name} sees {seen.get(key, ())[2:]}")
            for key, row in truth.items()
            if seen.get(key) != row
        ]
    return broken, count


def _same_everywhere(which: str) -> Callable[[dict[str, Read]], Broken]:
    def check(read: dict[str, Read]) -> Broken:
        (first, reference), *others = [(name, getattr(r, which)) for name, r in read.items()]
        broken = [
            (f"{which[:-1]} {row[0]}", f"{name} and {first} differ")
            for name, rows in others
            for row in set(rows) ^ set(reference)
        ]
        return broken, len(reference) * len(read)

    return check


def _orders_are_seen_as_they_are(read: dict[str, Read]) -> Broken:
    broken, count = [], 0
    for name, each in read.items():
        ((epoch,),) = each.epoch
        mine = {row[0]: row for row in each.own_orders}
        for other, view in read.items():
            if other == name:
                continue
            seen = {row[1]: (row[1:5], row[5]) for row in view.other_orders if row[0] == name}
            # What a branch lost with a backup is kept where it was heard of before.
            lost = {key for key, (_, of) in seen.items() if key not in mine and of < epoch}
            count += len(mine)
            broken += [
                (f"order {key} of {name}", f"{other} differs")
                for key in (mine.keys() | seen.keys()) - lost
                if key not in seen or seen[key][0] != mine.get(key)
            ]
    return broken, count


CHECKS: dict[str, Callable[[dict[str, Read]], Broken]] = {
    "over all branches: supplied + adjusted = available + held + sold + in transit": (
        _units_are_conserved
    ),
    "every transfer left once and arrived once": _both_ends_agree,
    "every branch sees the stock of the others as it is": _stock_is_seen_as_it_is,
    "products are the same everywhere": _same_everywhere("products"),
    "customers are the same everywhere": _same_everywhere("customers"),
    "every branch sees the orders of the others as they are": _orders_are_seen_as_they_are,
}
