"""The gateway restarted while shoppers buy: reloaded nobody notices, killed nobody pays twice."""

from __future__ import annotations

import signal
from collections.abc import Callable

import psutil
import pytest

from local.stack import Stack
from tests.figures import figure, reached
from tests.outage.buyers import BUYERS, buy_during, wait_for_more
from tests.race.rig import FULL, counted, kill, wait_back
from tests.shop import Shop, wait_until

RESTARTS = 20 if FULL else 2
BACK_WITHIN_SECONDS = 10


def reloaded(stack: Stack) -> None:
    """As after a change of its configuration: new workers, and the old ones end what they do."""
    master = psutil.Process(stack.pid("gateway"))
    before = {child.pid for child in master.children()}
    master.send_signal(signal.SIGHUP)
    wait_until(lambda: {c.pid for c in master.children()} - before, BACK_WITHIN_SECONDS)


def killed(stack: Stack) -> None:
    """By SIGKILL."""
    wait_back(stack, "gateway", kill(stack, "gateway"), BACK_WITHIN_SECONDS)


@pytest.mark.parametrize("restart", [reloaded, killed])
def test_the_gateway_may_restart_while_shoppers_buy(
    stack: Stack, shop: Shop, restart: Callable[[Stack], None]
) -> None:
    def outage(orders: Callable[[], int]) -> None:
        for number in range(RESTARTS):
            wait_for_more(orders)
            restart(stack)
            reached(number / RESTARTS)
        wait_for_more(orders)

    told = buy_during(stack, shop, outage)
    name = restart.__name__
    figure(f"gateway {name}", f"{RESTARTS} times while {BUYERS} buy: {counted(told)}")
    if restart is reloaded:
        assert set(told) == {"201"}
