"""A flash sale: everybody comes at the same moment, each unit is sold once, all are told soon."""

from __future__ import annotations

import pytest

from loadtests.flash_sale import sale
from loadtests.flash_sale.__main__ import SETTINGS, told
from loadtests.own_stack import own_stack
from local.progress import Silent
from local.stack import Stack
from tests.figures import figure
from tests.race.rig import FULL

SHOPPERS, UNITS = (5000, 1000) if FULL else (60, 12)


@pytest.mark.promise(1, minutes=4)
@pytest.mark.timeout(900 if FULL else 120)
def test_a_flash_sale_sells_every_unit_once_and_tells_everybody_soon(
    request: pytest.FixtureRequest,
) -> None:
    if FULL:
        # So many need connections of their own, and the bound on checkouts that a shop has.
        with own_stack("flash-sale", Silent(), **SETTINGS) as stack:
            hold(stack)
    else:
        hold(request.getfixturevalue("stack"))


def hold(stack: Stack) -> None:
    admin = (stack.settings.admin_email, stack.secrets.admin_password)
    url = f"http://127.0.0.1:{stack.settings.port}"
    outcome = sale.hold(url, admin, SHOPPERS, UNITS, lambda _: None)
    for line in told(outcome):
        figure("flash sale", line)
    assert [text for text, holds in outcome.checks.items() if not holds] == []
    assert (outcome.confirmed, outcome.sold_out_told) == (UNITS, SHOPPERS - UNITS)
