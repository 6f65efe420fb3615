"""A stack of a program's own: on free ports, in a fresh folder, and gone afterwards."""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from local.errors import StackError
from local.progress import Silent
from local.settings import REPOSITORY, read_settings
from local.stack import Stack
from local.web import free_ports

# All requests come from one address; every other setting is what `make run` has.
RATES = {
    "rate_per_second": 1_000_000,
    "rate_burst": 100_000,
    "login_rate_per_minute": 100_000,
    "login_burst": 10_000,
    "account_rate_per_minute": 100_000,
    "account_burst": 10_000,
}


@contextmanager
def own_stack(name: str, steps: Silent, **settings: Any) -> Iterator[Stack]:
    """A stack with real settings in `.feira-NAME`, one at a time in this clone.

    Args:
        name: what it is for, such as `bench`.
        steps: is told how the start goes.
        settings: beside RATES, what is to be other than `make run` has it.

    Raises StackError when it cannot be started.
    """
    home = REPOSITORY / f".feira-{name}"
    home.mkdir(exist_ok=True)
    with (REPOSITORY / f".feira-{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise StackError(f"another {name} of this clone is under way") from None
        # Only now: what is here was left by one that was killed.
        Stack(read_settings(feira_home=home)).down()
        shutil.rmtree(home, ignore_errors=True)
        chosen = RATES | free_ports() | settings
        stack = Stack(read_settings(feira_home=home, **chosen), steps)
        try:
            stack.up()
            yield stack
        finally:
            stack.progress = Silent()
            stack.down()
            shutil.rmtree(home, ignore_errors=True)
