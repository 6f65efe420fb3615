"""A payment provider that answers late, twice or never takes the money once or not at all."""

from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from local.stack import Stack
from tests.books import books_hold
from tests.figures import figure
from tests.outage.rehearsal import Plans, unfinished
from tests.race.rig import FULL, counted, ledgers, own_shops, rows, slug, together
from tests.shop import Account, Shop, wait_until

OF_EACH = 50 if FULL else 3
ENDS_WITHIN_SECONDS = 60
# What a provider does, and what must become of the order, of our books' money and of theirs.
ENDS = {
    "tok_late": ("confirmed", "captured", "captured"),
    "tok_twice": ("confirmed", "captured", "captured"),
    "tok_timeout": ("failed", None, "cancelled"),
    "tok_after_cancel": ("failed", None, "cancelled"),
}
FIRST_ANSWERS = {
    "tok_twice": "201",
    "tok_late": "503 checkout-unfinished",
    "tok_timeout": "503 checkout-unfinished",
    "tok_after_cancel": "503 checkout-unfinished",
}


@pytest.mark.promise(3)
def test_a_payment_late_twice_or_never_is_taken_once_or_not_at_all(
    stack: Stack, shop: Shop, customer: Account, plans: Plans
) -> None:
    product = shop.new_product(stock=OF_EACH * len(ENDS))["id"]
    carts = {token: [shop.new_cart((product, 1)) for _ in range(OF_EACH)] for token in ENDS}

    def pay(own: Shop, token: str) -> list[httpx.Response]:
        return [own.checkout(customer, cart, token=token) for cart in carts[token]]

    with own_shops(stack, len(ENDS)) as shops:
        works: list[Callable[[], list[httpx.Response]]] = [
            lambda s=s, t=t: pay(s, t) for s, t in zip(shops, ENDS, strict=True)
        ]
        answers = dict(zip(ENDS, together(works, seconds=120), strict=True))
    wait_until(lambda: not unfinished(stack, customer), ENDS_WITHIN_SECONDS)
    query = (
        "SELECT o.status, p.state, c.state FROM orders o"
        " LEFT JOIN payments p ON p.order_id = o.id"
        " LEFT JOIN simulated_charges c ON c.order_id = o.id WHERE o.cart_id = ANY (%s)"
    )
    ended = {token: rows(stack, "orders", query, carts[token]) for token in ENDS}
    told = {token: counted(map(slug, answers[token])) for token in ENDS}
    figure("payment late, twice, never", f"{OF_EACH} of each: {told}; ended: {ended_as(ended)}")

    for token, end in ENDS.items():
        assert {slug(answer) for answer in answers[token]} == {FIRST_ANSWERS[token]}, token
        assert ended[token] == [end] * OF_EACH, token
    wait_until(lambda: ledgers(stack, [product])[product].held == 0)
    ledger = ledgers(stack, [product])[product]
    assert ledger.balanced and ledger.sold == 2 * OF_EACH
    assert books_hold(stack)


def ended_as(ended: dict[str, list[tuple[str, ...]]]) -> dict[str, str]:
    """How often each token's orders ended how."""
    return {token: counted(row[0] for row in found) for token, found in ended.items()}
