"""Opens a system for drills, and leaves it as it was."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager

from loadtests.drills.compose_rig import ComposeRig
from loadtests.drills.embedded_rig import EmbeddedRig
from loadtests.drills.rig import Rig
from local.progress import Silent
from local.settings import REPOSITORY, read_settings
from local.stack import Stack
from local.web import free_ports

HOME = REPOSITORY / ".feira-drill"


@contextmanager
def open_rig(on: str, progress: Silent) -> Iterator[Rig]:
    """The project that `make up` started ("compose"), or a stack of the drill's own ("embedded").

    Raises StackError when it is not there, or does not start.
    """
    with _compose() if on == "compose" else _embedded(progress) as rig:
        # What an earlier drill left broken when it was killed.
        rig.mend()
        try:
            yield rig
        finally:
            rig.mend()


@contextmanager
def _compose() -> Iterator[Rig]:
    yield ComposeRig()


@contextmanager
def _embedded(progress: Silent) -> Iterator[Rig]:
    """A stack on free ports in a folder that is removed at the end; no other one is touched."""
    settings = read_settings(
        feira_home=HOME,
        # All shoppers come from one address.
        rate_per_second=100_000,
        rate_burst=100_000,
        login_rate_per_minute=100_000,
        account_rate_per_minute=100_000,
        # Their accounts are made at the start; what that costs is not what is measured.
        service_environment={"BCRYPT_ROUNDS": "4"},
        **free_ports(),
    )
    stack = Stack(settings, progress)
    # What a drill left that was killed.
    stack.down()
    shutil.rmtree(HOME, ignore_errors=True)
    stack = Stack(settings, progress)
    try:
        stack.up()
        yield EmbeddedRig(stack)
    finally:
        stack.down()
        shutil.rmtree(HOME, ignore_errors=True)
