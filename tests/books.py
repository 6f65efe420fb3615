"""The audit as a test uses it: the same code as `make audit`."""

from __future__ import annotations

from local.audit import audit
from local.stack import Stack


def books_hold(stack: Stack, settle_seconds: float = 15) -> bool:
    """Whether every invariant holds on the running stack; what is under way may end first.

    Prints the report, which pytest shows when the test fails.
    """
    dsns = stack.dsn("auditor", "catalog"), stack.dsn("auditor", "orders")
    return audit(*dsns, settle_seconds=settle_seconds) == 0
