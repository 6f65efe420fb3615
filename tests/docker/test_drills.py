"""Every kind of drill once, by the program that `make drill ON=compose` runs (promises 19-24)."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterator

import pytest

from loadtests.drills import session
from loadtests.drills.compose_rig import ComposeRig
from loadtests.drills.kinds import KINDS
from loadtests.drills.report import Session
from tests.docker.project import Project
from tests.load import report as show
from tests.shop import wait_until

RATE = 10


class Listener:
    """Shows what each drill found beside the test's name."""

    def begin(self, what: str) -> None:
        """A drill begins."""

    def say(self, text: str) -> None:
        """What is done at the moment."""

    def end(self, result: str, drills: int = 1) -> None:
        """A result."""
        show(result)


@pytest.fixture(scope="module")
def rig(stack: Project) -> Iterator[ComposeRig]:
    opened = ComposeRig(stack.folder, stack.environment)
    yield opened
    opened.mend()
    # Docker finds out later than Patroni does, and starts nothing that depends on what is not well.
    wait_until(lambda: not stack.unhealthy(), 120)


@pytest.fixture(scope="module")
def drilled(rig: ComposeRig) -> Session:
    """One session: a run without a fault, then one drill of each kind."""
    done = Session("compose", RATE, False)
    session.run(rig, session.plan(list(KINDS.values()), None, full=False), done, Listener())
    return done


@pytest.mark.timeout(1200)
def test_without_a_fault_everything_holds(drilled: Session) -> None:
    assert drilled.broken_off == ""
    assert (drilled.results[0].kind, drilled.results[0].passed) == ("control", True)
    assert drilled.skipped == {}


@pytest.mark.promise(19)
@pytest.mark.promise(20)
@pytest.mark.promise(21)
@pytest.mark.promise(22)
@pytest.mark.promise(23)
@pytest.mark.promise(24)
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("kind", KINDS)
def test_a_drill_keeps_what_was_promised(drilled: Session, kind: str) -> None:
    (result,) = [each for each in drilled.results if each.kind == kind]
    broken = [check.text for check in result.checks if not check.holds]
    seen = json.dumps(dataclasses.asdict(result), indent=1)
    assert result.passed, f"{result.error or broken}\n{seen}"
    assert result.checks
    assert result.acknowledged >= 20


def test_only_the_primary_acknowledges_a_commit(stack: Project, rig: ComposeRig) -> None:
    primary = next(name for name, role in stack.members().items() if role.startswith("Leader"))
    answers = {node: rig.acknowledges(node, 10) for node in rig.nodes}
    assert answers == {node: node == primary for node in rig.nodes}


@pytest.mark.timeout(300)
def test_a_drill_that_was_killed_is_mended_by_the_next(stack: Project, rig: ComposeRig) -> None:
    primary = next(name for name, role in stack.members().items() if role.startswith("Leader"))
    standby = next(node for node in rig.nodes if node != primary)
    rig.cut(standby)
    rig.freeze(standby)
    rig.kill("redis-streams")
    ComposeRig(stack.folder, stack.environment).mend()
    whole = ["Leader running", "Sync Standby streaming"]
    wait_until(lambda: sorted(stack.members().values()) == whole, 120)
    assert stack.containers("redis-streams")
