"""The supervisor: its configuration, its life, and control of it over its own interface."""

from __future__ import annotations

import http.client
import json
import os
import shlex
import subprocess
import sys
import time
import xmlrpc.client
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import psutil

from local.errors import StackError
from local.launch import PROCESS, STACK, launch
from local.process import Process, Stage
from local.secrets import write_private
from local.settings import Settings, inherited_environment

NAME = "supervisor"
_TRIES = 4

_HEAD = """\
[supervisord]
nodaemon = true
silent = true
user = {user}
umask = 077
logfile = {logs}/supervisor.log
logfile_maxbytes = 5MB
logfile_backups = 2
pidfile = {run}/supervisor.pid
childlogdir = {logs}

[inet_http_server]
port = 127.0.0.1:{port}
username = feira
password = {password}

[rpcinterface:supervisor]
supervisor.rpcinterface_factory = supervisor.rpcinterface:make_main_rpcinterface
"""

# startretries: each attempt waits a second longer than the one before; none is the last, because
# what a process needs may be away for long. Whether a first start fails is for Stack to see.
_PROGRAM = """
[program:{name}]
command = {command}
autostart = false
autorestart = true
startsecs = 1
startretries = 100000
stopsignal = {signal}
stopwaitsecs = {seconds}
killasgroup = true
redirect_stderr = true
stdout_logfile = {log}
stdout_logfile_maxbytes = 10MB
stdout_logfile_backups = 3
"""


@dataclass(frozen=True)
class State:
    """What the supervisor says of one process; `pid` is 0 when there is none."""

    name: str
    state: str
    pid: int
    started: int
    seconds: int
    detail: str


class _Transport(xmlrpc.client.Transport):
    """The standard transport, but it gives up on a supervisor that does not answer."""

    def make_connection(self, host: Any) -> http.client.HTTPConnection:
        connection = super().make_connection(host)
        connection.timeout = 10
        return connection


class Supervisor:
    """The supervisor of one stack. Safe to use from several threads."""

    def __init__(self, settings: Settings, password: str) -> None:
        self._settings = settings
        self._password = password
        self._child: subprocess.Popen[bytes] | None = None

    def configure(self, processes: Iterable[Process]) -> None:
        """Write what the supervisor reads, and for each process what its launcher reads."""
        settings = self._settings
        head = _HEAD.format(
            user="root" if os.geteuid() == 0 else os.geteuid(),
            logs=_escaped(settings.logs),
            run=_escaped(settings.run),
            port=settings.supervisor_port,
            password=self._password,
        )
        programs = [self._program(process) for process in processes]
        write_private(settings.run / "supervisord.conf", head + "".join(programs))

    def _program(self, process: Process) -> str:
        home = self._settings.feira_home
        marks = {STACK: str(home), PROCESS: process.name}
        spec = {
            "command": process.command,
            "directory": str(process.directory),
            "environment": process.environment | marks,
            "stage": process.stage,
            "takes_over": process.takes_over,
        }
        path = self._settings.run / f"{process.name}.json"
        write_private(path, json.dumps(spec, indent=1))
        command = shlex.join([*process.prefix, *launch(str(path))])
        return _PROGRAM.format(
            name=process.name,
            command=_escaped(command),
            signal=process.stop_signal,
            seconds=process.stop_seconds,
            # This one is expanded twice.
            log=_escaped(_escaped(self._settings.logs / f"{process.name}.log")),
        )

    def start(self) -> None:
        """Start the supervisor in a session of its own and wait until it answers."""
        log = self._settings.logs / "supervisor-start.log"
        marks = {STACK: str(self._settings.feira_home), PROCESS: NAME}
        configuration = self._settings.run / "supervisord.conf"
        with log.open("wb") as output:
            self._child = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "supervisor.supervisord",
                    "-n",
                    "-c",
                    str(configuration),
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A Ctrl-C is for us to handle: it must not reach the servers directly.
                start_new_session=True,
                env=inherited_environment() | marks,
            )
        limit = time.monotonic() + 20
        while not self.answers():
            if self._child.poll() is not None:
                reason = f"ended with {self._child.returncode} while starting"
                raise StackError(reason, process=NAME, log=log)
            if time.monotonic() > limit:
                raise StackError("does not answer", process=NAME, log=log)
            time.sleep(0.05)

    def answers(self) -> bool:
        """Whether this stack's supervisor is there and takes orders."""
        try:
            return bool(self._call("getState")["statename"] == "RUNNING")
        except (OSError, xmlrpc.client.Error, http.client.HTTPException):
            return False

    @property
    def pid(self) -> int | None:
        """Process id of a supervisor that lives, whoever started it."""
        try:
            pid = int((self._settings.run / "supervisor.pid").read_text())
            environment = psutil.Process(pid).environ()
            alive = psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
        except (OSError, ValueError, psutil.Error):
            return None
        mine = environment.get(STACK) == str(self._settings.feira_home)
        return pid if mine and alive else None

    def start_process(self, name: str) -> None:
        """Ask for a process to be started; it is not waited for."""
        with suppress(xmlrpc.client.Fault):  # it already runs
            self._call("startProcess", name, False)

    def stop_processes(self, names: Iterable[str], has_time: Callable[[], bool]) -> None:
        """Stop processes side by side; those still there when the time is over are killed."""
        wanted = list(names)
        for name in wanted:
            with suppress(xmlrpc.client.Fault):  # it does not run
                self._call("stopProcess", name, False)
        while has_time():
            if not self._up(wanted):
                return
            time.sleep(0.05)
        for name in self._up(wanted):
            with suppress(xmlrpc.client.Fault):  # it has just ended
                self._call("signalProcess", name, "KILL")

    def _up(self, names: Iterable[str]) -> list[str]:
        states = self.states()
        down = {"STOPPED", "EXITED", "FATAL", "UNKNOWN"}
        return [name for name in names if name in states and states[name].state not in down]

    def states(self) -> dict[str, State]:
        """All processes, by name."""
        return {
            str(each["name"]): State(
                name=str(each["name"]),
                state=str(each["statename"]),
                pid=int(each["pid"]),
                started=int(each["start"]),
                seconds=max(0, int(each["now"]) - int(each["start"])) if each["pid"] else 0,
                detail=str(each["spawnerr"] or each["description"]),
            )
            for each in self._asked("getAllProcessInfo")
        }

    def _asked(self, question: str) -> Any:
        """What it answers; on a machine that is busy it may take more than one try to hear it."""
        for _ in range(_TRIES - 1):
            with suppress(TimeoutError):
                return self._call(question)
        return self._call(question)

    def shutdown(self) -> None:
        """Ask the supervisor to end, which stops whatever still runs."""
        with suppress(OSError, xmlrpc.client.Error, http.client.HTTPException):
            self._call("shutdown")

    def stages(self) -> dict[str, Stage]:
        """The stage of every process there is, as it was when the supervisor was configured."""
        found: dict[str, Stage] = {}
        for name in self.states():
            with suppress(OSError, ValueError, KeyError):
                spec = json.loads((self._settings.run / f"{name}.json").read_text("utf-8"))
                found[name] = Stage(spec["stage"])
        return found

    def reap(self, seconds: float = 0.0) -> int | None:
        """Exit status of a supervisor that was started here, if it ends within so long."""
        with suppress(subprocess.TimeoutExpired):
            return self._child.wait(seconds) if self._child else None
        return None

    def spawned(self) -> dict[str, int]:
        """How often each process was started since the supervisor was."""
        try:
            text = (self._settings.logs / "supervisor.log").read_text("utf-8", "replace")
        except OSError:
            return {}
        counts: dict[str, int] = {}
        for line in text[max(0, text.rfind("supervisord started with pid")) :].splitlines():
            if " spawned: '" in line:
                name = line.split("'")[1]
                counts[name] = counts.get(name, 0) + 1
        return counts

    def _call(self, method: str, *arguments: Any) -> Any:
        url = f"http://feira:{self._password}@127.0.0.1:{self._settings.supervisor_port}/RPC2"
        with xmlrpc.client.ServerProxy(url, transport=_Transport()) as proxy:
            return cast(Any, getattr(proxy.supervisor, method)(*arguments))


def _escaped(value: str | Path) -> str:
    """The supervisor expands %(name)s in what it reads."""
    return str(value).replace("%", "%%")
