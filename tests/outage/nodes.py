"""Losing a PostgreSQL node, whole or in part, and having it back."""

from __future__ import annotations

import time
from contextlib import suppress

import psutil

from local.stack import Stack
from tests.race.rig import family, tree
from tests.shop import wait_until


def lose_host(stack: Stack, name: str) -> None:
    """End a node as the loss of its machine does: everything at once, and it stays away."""
    doomed = family(stack, name)
    # Frozen first, so that none sees another's end, and the supervisor starts nothing again.
    for process in doomed:
        process.suspend()
    stack.supervisor.stop_processes([name], lambda: False)
    for process in doomed:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    wait_until(lambda: not any(process.is_running() for process in doomed))


def crash_postgres(stack: Stack, name: str) -> None:
    """SIGKILL the node's postmaster; its Patroni goes on."""
    tree(stack.cluster.postmaster(name))[0].kill()


def start(stack: Stack, name: str) -> None:
    """Start a lost node again."""
    stack.readiness.forget(name)
    stack.supervisor.start_process(name)


def whole(stack: Stack) -> bool:
    """Whether one node leads and the other is the synchronous standby."""
    return sorted(map(stack.cluster.role, stack.cluster.nodes)) == ["primary", "sync standby"]


def wait_whole(stack: Stack, seconds: float) -> None:
    """Wait until both nodes are what they should be."""

    def settled() -> bool:
        if whole(stack):
            return True
        stack.cluster.hasten()
        time.sleep(0.3)
        return False

    wait_until(settled, seconds)
