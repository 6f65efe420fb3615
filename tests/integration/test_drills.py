"""The drill program on the stack that the other tests use, and its means of breaking things."""

from __future__ import annotations

import dataclasses
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from loadtests.drills import drill, session
from loadtests.drills.commits import Committer
from loadtests.drills.embedded_rig import EmbeddedRig
from loadtests.drills.kinds import KINDS
from loadtests.drills.partition import LOOKOUT, Partition
from loadtests.drills.report import Session
from loadtests.drills.watch import Watch
from local.launch import belongings
from local.stack import Stack
from tests.shop import wait_until


class Nobody:
    """Is told what goes on, and does not care."""

    def begin(self, what: str) -> None:
        """A drill begins."""

    def say(self, text: str) -> None:
        """What is done at the moment."""

    def end(self, result: str, drills: int = 1) -> None:
        """A result."""


@pytest.fixture
def rig(stack: Stack) -> Iterator[EmbeddedRig]:
    opened = EmbeddedRig(stack)
    yield opened
    opened.mend()


@pytest.mark.timeout(240)
def test_a_drill_breaks_heals_and_counts(
    rig: EmbeddedRig, stack: Stack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(drill, "CONTROL_SECONDS", 1.0)
    kind = dataclasses.replace(KINDS["catalog-instance-loss"], hold_seconds=1)
    pid = stack.pid("catalog-1")
    done = Session("embedded", 20, False)
    session.run(rig, [(kind, 1)], done, Nobody())
    control, result = done.results
    assert (control.kind, control.failover, control.detection) == ("control", None, None)
    assert (result.error, result.target) == ("", "catalog-1")
    assert [each.text for each in result.checks if not each.holds] == []
    assert result.acknowledged >= 20
    assert result.detection is not None and result.failover is not None
    assert "audit: all hold" in result.audit
    stack.wait_ready(["catalog-1"])
    assert stack.pid("catalog-1") not in (0, pid)


def test_the_watch_sees_who_leads(rig: EmbeddedRig, stack: Stack) -> None:
    watch = Watch(rig)
    try:
        wait_until(watch.whole, 30)
        assert watch.primary() == stack.cluster.primary()
    finally:
        watch.close()
    assert not list(belongings_of_look(rig))


def belongings_of_look(rig: EmbeddedRig) -> Iterator[str]:
    """Followers of the watch that still run."""
    ports = [rig.watch_command(node)[-2] for node in rig.nodes]
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            arguments = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if any(part.endswith(b"/look.py") for part in arguments):
            yield from (port for port in ports if port.encode() in arguments)


def test_a_follower_ends_with_who_started_it(rig: EmbeddedRig) -> None:
    command = rig.watch_command(rig.nodes[0])
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as follower:
        assert follower.stdin and follower.stdout
        assert follower.stdout.readline().startswith(b'{"at"')
        follower.stdin.close()
        assert follower.wait(10) == 0


def test_only_the_primary_acknowledges_a_commit(rig: EmbeddedRig, stack: Stack) -> None:
    primary = stack.cluster.primary()
    answers = {node: rig.acknowledges(node, 5) for node in rig.nodes}
    assert answers == {node: node == primary for node in rig.nodes}


def test_a_commit_that_no_standby_has_is_not_acknowledged(rig: EmbeddedRig, stack: Stack) -> None:
    primary = stack.cluster.primary()
    standby = next(node for node in rig.nodes if node != primary)
    # For less long than it takes Patroni to go on without this standby.
    rig.freeze(standby)
    try:
        committer = Committer(rig._node_dsn(primary), 5)
        with closing(committer):
            assert committer.acknowledged(0.5) is False
            rig.mend()
            assert committer.acknowledged(10) is True
    finally:
        rig.mend()


def test_a_killed_part_stays_away_until_it_is_mended(rig: EmbeddedRig, stack: Stack) -> None:
    rig.kill("cart-background")
    home = stack.settings.feira_home
    assert not list(belongings(home, "cart-background"))
    # The supervisor notices a moment later.
    wait_until(lambda: stack.supervisor.states()["cart-background"].state == "STOPPED", 10)
    rig.mend()
    wait_until(lambda: list(belongings(home, "cart-background")), 20)
    stack.wait_ready(["cart-background"])


@pytest.mark.skipif(
    Partition.why_not() is not None, reason=f"nothing can be cut off: {Partition.why_not()}"
)
def test_a_cut_drops_what_it_should_and_leaves_no_rule(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with socket.create_connection(("127.0.0.1", port), 2) as spared:
            inside, _ = server.accept()
            partition = Partition(tmp_path)
            partition.cut([port], [], [spared.getsockname()[1]])
            try:
                assert not reaches(port)
                assert reaches(port, LOOKOUT)
                spared.sendall(b"x")
                inside.settimeout(2)
                assert inside.recv(1) == b"x"
            finally:
                # Another one, as after a drill that was killed.
                Partition(tmp_path).heal()
            inside.close()
            assert reaches(port)
    rules = subprocess.run(
        ["iptables", "-w", "5", "-S"], capture_output=True, text=True, check=True
    )
    assert partition._chain not in rules.stdout


def reaches(port: int, source: str = "127.0.0.1") -> bool:
    """Whether a connection comes about."""
    try:
        socket.create_connection(("127.0.0.1", port), 0.4, source_address=(source, 0)).close()
    except OSError:
        return False
    return True
