"""Where mails go when there is no mail server."""

from __future__ import annotations

import stat
from typing import Any

from local.stack import Stack
from tests.shop import Account, Shop, wait_until


def test_the_embedded_stack_writes_mails_into_its_home(
    stack: Stack, shop: Shop, customer: Account
) -> None:
    order = shop.buy(customer, (shop.new_product(stock=5)["id"], 1))
    folder = stack.settings.feira_home / "mail"

    def mine() -> list[Any]:
        return [path for path in folder.glob("*.eml") if order["id"] in path.read_text("utf-8")]

    (written,) = wait_until(mine, 45)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    log = (stack.settings.logs / "orders-background.log").read_text("utf-8")
    assert customer.email not in log
