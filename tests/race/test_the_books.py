"""After everything that was done to the shop, its books agree."""

from __future__ import annotations

from local.stack import Stack
from tests.books import books_hold
from tests.figures import figure
from tests.race.rig import rows


def test_the_books_hold_after_everything(stack: Stack) -> None:
    assert books_hold(stack)
    count = "SELECT count(*) FROM orders"
    figure("make audit", f"all invariants hold after {rows(stack, 'orders', count)[0][0]} orders")
