"""Processes that die, leave something behind, or find their port taken."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path

import pytest

from local.errors import StackError
from local.launch import belongings, end_leftovers
from local.memory import family_bytes, pss_bytes
from local.process import Process, Stage
from local.readiness import Readiness
from local.settings import Settings, read_settings
from local.supervision import Supervisor
from local.web import free_ports
from tests.shop import wait_until
from tests.stand_in import StandIn


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Settings of a stack in a folder whose name has all that a shell or a format could trip on."""
    home = tmp_path / "it's 100 %d"
    made = read_settings(feira_home=home, **free_ports())
    for folder in (home, made.data, made.logs, made.run):
        folder.mkdir()
    return made


def test_the_supervisor_brings_a_killed_process_back_and_leaves_nothing(
    settings: Settings,
) -> None:
    # Given a process with a child of its own, as a server with workers has
    sleeper = [sys.executable, "-c", "import os, time\nos.fork()\ntime.sleep(600)"]
    process = Process("sleeper", sleeper, Stage.SERVICES, settings.run)
    supervisor = Supervisor(settings, "control-password")
    supervisor.configure([process])
    supervisor.start()
    try:
        supervisor.start_process("sleeper")
        wait_until(lambda: len(list(belongings(settings.feira_home, "sleeper"))) == 2)
        first = supervisor.states()["sleeper"].pid
        orphans = set(belongings(settings.feira_home, "sleeper")) - {first}
        wait_until(lambda: supervisor.states()["sleeper"].state == "RUNNING")
        # When it is killed, but not its child
        os.kill(first, signal.SIGKILL)
        # Then it comes back, and the orphan, which might hold its port, is gone
        wait_until(lambda: supervisor.states()["sleeper"].pid not in (0, first))
        wait_until(lambda: len(list(belongings(settings.feira_home, "sleeper"))) == 2)
        assert not orphans & set(belongings(settings.feira_home))
        assert supervisor.spawned() == {"sleeper": 2}
        assert family_bytes(supervisor.pid or 0) > pss_bytes(supervisor.pid or 0) > 2**20
        supervisor.stop_processes(["sleeper"], lambda: True)
    finally:
        supervisor.shutdown()
        assert supervisor.reap(15) is not None
        end_leftovers(settings.feira_home)
    assert list(belongings(settings.feira_home)) == []


def test_a_process_whose_port_somebody_else_answers_is_not_ready(settings: Settings) -> None:
    # Given a server that came to the port first, and a process that has not given up on it
    other = StandIn()
    url = f"http://127.0.0.1:{other.port}/ready"
    sleeper = [sys.executable, "-c", "import time\ntime.sleep(600)"]
    process = Process("sleeper", sleeper, Stage.SERVICES, settings.run, ready_url=url)
    supervisor = Supervisor(settings, "control-password")
    supervisor.configure([process])
    supervisor.start()
    try:
        supervisor.start_process("sleeper")
        wait_until(lambda: supervisor.states()["sleeper"].state == "RUNNING")
        # Then it does not count as ready, although it runs and its address answers 200
        with pytest.raises(StackError, match="is answered by another process"):
            Readiness(settings, supervisor).wait({"sleeper": process}, ["sleeper"], seconds=1)
        assert other.count("GET") > 0
    finally:
        other.stop()
        supervisor.shutdown()
        assert supervisor.reap(15) is not None
        end_leftovers(settings.feira_home)


def test_what_a_process_takes_over_outlives_its_death_and_nothing_else_does(
    settings: Settings,
) -> None:
    # Given a process with two children, one of which its successor goes on with
    code = """
import os, subprocess, time
if not os.path.exists("begun"):
    open("begun", "w").close()
    for command in (["sleep", "600"], ["tail", "-f", "/dev/null"]):
        subprocess.Popen(command, start_new_session=True)
time.sleep(600)
"""
    command = [sys.executable, "-c", code]
    process = Process("runner", command, Stage.STORES, settings.run, takes_over="sleep")
    supervisor = Supervisor(settings, "control-password")
    supervisor.configure([process])
    supervisor.start()
    home = settings.feira_home
    try:
        supervisor.start_process("runner")
        wait_until(lambda: len(list(belongings(home, "runner"))) == 3)
        wait_until(lambda: supervisor.states()["runner"].state == "RUNNING")
        first = supervisor.states()["runner"].pid
        (other,) = set(belongings(home, "runner", but_not="sleep")) - {first}
        (kept,) = set(belongings(home, "runner")) - {first, other}
        # When it is killed
        os.kill(first, signal.SIGKILL)
        # Then its successor has that child only
        wait_until(lambda: supervisor.states()["runner"].pid not in (0, first))
        second = supervisor.states()["runner"].pid
        wait_until(lambda: set(belongings(home, "runner")) == {second, kept})
    finally:
        supervisor.shutdown()
        assert supervisor.reap(15) is not None
        end_leftovers(home)
    assert list(belongings(home)) == []
