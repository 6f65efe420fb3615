"""Promises 3 and 10: wherever orders dies in a checkout or a cancellation, it ends, and once.

`FEIRA_FULL=1` kills a hundred times at each point.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import httpx
import pytest

from local.stack import Stack
from tests.books import books_hold
from tests.figures import figure, reached
from tests.outage.rehearsal import BACKGROUND, REQUESTS, Plans, unfinished
from tests.race.rig import FULL, counted, ledgers, own_shops, rows, slug, together
from tests.shop import Account, Shop, wait_until

KILLS = 100 if FULL else 1
KILLS_OF_RECOVERY = 5
ENDS_WITHIN_SECONDS = 60
# What a shopper does, and the rows and calls that it makes orders cross.
STORIES = {
    "buys": ("cart", "open", "reserve", "reserved", "charge", "confirm"),
    "is declined": ("undo", "refund", "release", "fail"),
    "hears nothing": ("wait",),
    "cancels": ("cancel", "refund", "release", "cancelled"),
}
TOKENS = {"is declined": "tok_declined", "hears nothing": "tok_late"}
# What recovery crosses when it goes on with an order that was opened and then left alone.
RECOVERY = ("take over", "reserve", "reserved", "charge", "confirm")
POINTS = [
    (story, f"{side} {name}")
    for story, names in STORIES.items()
    for name in names
    for side in ("before", "after")
]


@dataclass
class Victim:
    """A request whose process died, and what its sender was told."""

    story: str
    point: str
    cart: str
    patient: bool  # asks again with the same key; others leave it to the recovery
    key: str = field(default_factory=lambda: uuid.uuid4().hex)
    order_id: str = ""
    told: list[str] = field(default_factory=list)
    document: dict[str, Any] = field(default_factory=dict)

    def send(self, shop: Shop, user: Account) -> bool:
        """Ask; whether the answer is the last word."""
        try:
            if self.order_id:
                path = f"/api/orders/{self.order_id}/cancel"
                answer = shop.http.post(path, headers=user.headers)
            else:
                token = TOKENS.get(self.story, "tok_ok")
                answer = shop.checkout(user, self.cart, token=token, key=self.key)
        except httpx.HTTPError:
            self.told.append("no answer")
            return False
        self.told.append(slug(answer))
        if answer.is_success:
            self.document = answer.json()
        return answer.is_success or answer.status_code == 402


@pytest.mark.promise(3, minutes=10)
@pytest.mark.promise(10)
def test_orders_may_die_before_and_after_every_row_and_call(
    stack: Stack, shop: Shop, customer: Account, plans: Plans
) -> None:
    product = shop.new_product(stock=KILLS * len(POINTS))["id"]
    killed: list[Victim] = []
    plans.die(BACKGROUND, "after release")  # while it sees to those who do not ask again
    for position, (story, point) in enumerate(POINTS):
        for number in range(KILLS):
            # Half of the senders ask again; where an answer is due to them at once, all do.
            patient = (position // 2 + position + number) % 2 == 0 or point == "after confirm"
            victim = Victim(story, point, shop.new_cart((product, 1)), patient)
            _kill(shop, customer, plans, victim)
            killed.append(victim)
        reached((position + 1) / len(POINTS))
    last_death = _now(stack)
    _ask_again(stack, customer, [victim for victim in killed if victim.patient])
    wait_until(lambda: not unfinished(stack, customer), ENDS_WITHIN_SECONDS)
    left = "SELECT extract(epoch FROM max(updated_at) - %s) FROM orders WHERE user_id = %s"
    seconds = max(0.0, float(rows(stack, "orders", left, last_death, customer.id)[0][0]))
    found = _orders(stack, customer)
    statuses = counted(order[1] for orders in found.values() for order in orders)
    figure(
        "promise 3",
        f"{len(killed)} kills at {len(POINTS)} points, all ended {seconds:.1f} s after the last: "
        f"{statuses}; told at first: {counted(victim.told[0] for victim in killed)}",
    )
    assert seconds <= ENDS_WITHIN_SECONDS
    assert plans.carried_out(BACKGROUND)
    for victim in killed:
        _ended_well(victim, found.get(victim.cart, []))
    _nothing_left_over(stack, product, found)


def _kill(shop: Shop, user: Account, plans: Plans, victim: Victim) -> None:
    if victim.story == "cancels":
        victim.order_id = _bought(shop, user, victim.cart)
    plans.die(REQUESTS, victim.point)
    assert not victim.send(shop, user), f"lived on {victim.point}"
    assert plans.carried_out(REQUESTS), f"never came {victim.point}: {victim.told}"


def _bought(shop: Shop, user: Account, cart: str) -> str:
    """An order to be cancelled, asked for again while orders comes back from the last death."""
    key = uuid.uuid4().hex

    def ask() -> str | None:
        answer = shop.checkout(user, cart, key=key)
        assert answer.status_code in (201, 503), answer.text
        return str(answer.json()["id"]) if answer.status_code == 201 else None

    return wait_until(ask, ENDS_WITHIN_SECONDS) or ""


def _now(stack: Stack) -> datetime:
    now: datetime = rows(stack, "orders", "SELECT now()")[0][0]
    return now


def _ask_again(stack: Stack, user: Account, patient: list[Victim]) -> None:
    """Every patient sender asks until the last word."""
    with own_shops(stack, 8) as shops:

        def ask(shop: Shop, mine: list[Victim]) -> None:
            for victim in mine:
                wait_until(lambda v=victim: v.send(shop, user), ENDS_WITHIN_SECONDS)

        works: list[Callable[[], None]] = [
            lambda n=n, s=s: ask(s, patient[n :: len(shops)]) for n, s in enumerate(shops)
        ]
        together(works, seconds=ENDS_WITHIN_SECONDS + len(patient))


def _orders(stack: Stack, user: Account) -> dict[str, list[tuple[str, str, list[Any]]]]:
    """Id, status and both books' money of the orders of each cart."""
    found: dict[str, list[tuple[str, str, list[Any]]]] = {}
    query = (
        "SELECT o.cart_id, o.id, o.status, p.state, c.state FROM orders o"
        " LEFT JOIN payments p ON p.order_id = o.id"
        " LEFT JOIN simulated_charges c ON c.order_id = o.id WHERE o.user_id = %s ORDER BY o.id"
    )
    for cart, order_id, status, *money in rows(stack, "orders", query, user.id):
        found.setdefault(cart, []).append((order_id, status, money))
    return found


def _ended_well(victim: Victim, orders: list[tuple[str, str, list[Any]]]) -> None:
    """One order at most came of it, and its sender was told of that one."""
    about = (victim, orders)
    never_opened = victim.story == "buys" and victim.point in UNOPENED and not victim.patient
    assert len(orders) == (0 if never_opened else 1), about
    for order_id, status, money in orders:
        if victim.story == "is declined":
            assert (status, money) == ("failed", [None, "cancelled"]), about
        elif victim.story == "cancels" and (victim.patient or victim.point != "before cancel"):
            assert (status, money) == ("cancelled", ["refunded"] * 2), about
        else:
            assert (status, money) == ("confirmed", ["captured"] * 2), about
        if victim.patient and victim.story != "is declined":
            assert (victim.document["id"], victim.document["status"]) == (order_id, status), about
    if (victim.story, victim.point, victim.patient) == ("buys", "after confirm", True):
        assert victim.told[1:] == ["201"], about


UNOPENED = {"before cart", "after cart", "before open"}


def _nothing_left_over(
    stack: Stack, product: int, found: dict[str, list[tuple[str, str, list[Any]]]]
) -> None:
    sold = [each for orders in found.values() for each in orders if each[1] == "confirmed"]
    wait_until(lambda: ledgers(stack, [product])[product].held == 0)
    ledger = ledgers(stack, [product])[product]
    assert ledger.balanced and ledger.sold == len(sold)
    assert books_hold(stack)


@pytest.mark.skipif(not FULL, reason="a recovery that dies once is in the test above: make race")
@pytest.mark.promise(3, minutes=7)
def test_recovery_may_die_before_and_after_every_row_and_call(
    stack: Stack, shop: Shop, customer: Account, plans: Plans
) -> None:
    points = [f"{side} {name}" for name in RECOVERY for side in ("before", "after")]
    points = points * KILLS_OF_RECOVERY
    killed = len(points)
    product = shop.new_product(stock=killed)["id"]
    for number, point in enumerate(points):
        # One after the other: an order left alone for minutes is undone, and crosses other points.
        plans.die(BACKGROUND, point)
        victim = Victim("buys", "after open", shop.new_cart((product, 1)), patient=False)
        _kill(shop, customer, plans, victim)
        wait_until(lambda: plans.carried_out(BACKGROUND), ENDS_WITHIN_SECONDS)
        reached(number / killed)
    last_death = _now(stack)
    wait_until(lambda: not unfinished(stack, customer), ENDS_WITHIN_SECONDS)
    seconds = (_now(stack) - last_death).total_seconds()
    found = _orders(stack, customer)
    statuses = counted(order[1] for orders in found.values() for order in orders)
    figure(
        "promise 3",
        f"recovery killed {killed} times, all ended {seconds:.1f} s later: {statuses}",
    )
    ended = [[order[1] for order in orders] for orders in found.values()]
    assert ended == [["confirmed"]] * killed
    _nothing_left_over(stack, product, found)
