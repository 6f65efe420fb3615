"""The whole stack: up, down, and what a test or a command wants to know of it while it runs."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from local import gateway, locks, postgres, reconcile, redis, restoring
from local.command_line import CommandLine
from local.databases import ensure_roles_and_databases
from local.errors import StackError
from local.launch import end_leftovers, launch
from local.postgres import Cluster
from local.process import Process, Stage
from local.progress import Silent
from local.purchase import CLOSED, Shopper
from local.readiness import Readiness
from local.secrets import load_secrets
from local.services import WITH_DATABASE, Services
from local.settings import Settings
from local.supervision import Supervisor
from local.web import check_ports


class Stack:
    """One stack in one home. `up` and `down` belong to one thread."""

    def __init__(self, settings: Settings, progress: Silent | None = None) -> None:
        self.settings = settings
        self.progress = progress or Silent()
        for folder in (settings.feira_home, settings.data, settings.logs, settings.run):
            _make_folder(folder)
        chosen = settings.admin_password
        self.secrets = load_secrets(
            settings.feira_home,
            {"admin_password": chosen.get_secret_value()} if chosen else None,
        )
        self.supervisor = Supervisor(settings, self.secrets.supervisor_password)
        self.readiness = Readiness(settings, self.supervisor)
        self.cluster = Cluster(settings, self.secrets)
        self.services = Services(settings, self.secrets, self.cluster)
        self.processes: dict[str, Process] = {}
        # Set to stop at once instead of gracefully.
        self.hurry = threading.Event()
        self._open_mark = settings.run / "open"

    @property
    def url(self) -> str:
        """The gateway, HTTP."""
        return f"http://localhost:{self.settings.port}"

    @property
    def tls_url(self) -> str:
        """The gateway, HTTPS with a certificate of its own."""
        return f"https://localhost:{self.settings.tls_port}"

    def dsn(self, role: str, database: str) -> str:
        """libpq URI of a role on the primary, for audits and tests."""
        password = getattr(self.secrets, f"{role}_password")
        return postgres.primary_url(self.cluster.url(role, password, database))

    @property
    def redis_urls(self) -> dict[str, str]:
        """URLs of both Redis servers by process name."""
        return {
            redis.CARTS: redis.carts_url(self.settings, self.secrets),
            redis.STREAMS: redis.streams_url(self.settings, self.secrets),
        }

    def pid(self, name: str) -> int:
        """Process id of a process that runs, else 0."""
        return self.supervisor.states()[name].pid

    def running(self) -> bool:
        """Whether this stack's supervisor lives."""
        return self.supervisor.pid is not None and self.supervisor.answers()

    def is_open(self) -> bool:
        """Whether the last start went through to its end."""
        return self._open_mark.exists()

    def starting(self) -> bool:
        """Whether somebody is just bringing this stack up."""
        try:
            with self._alone():
                return False
        except StackError:
            return True

    def wait_ready(self, names: Iterable[str] | None = None, seconds: float | None = None) -> None:
        """Wait until processes (all, unless named) serve; raises StackError if one does not."""
        self.readiness.wait(self.processes, self.processes if names is None else names, seconds)

    def up(self) -> None:
        """Start everything and return when a purchase has gone through.

        Raises StackError after having stopped again whatever was started.
        """
        restoring.refuse(self.settings)
        with self._alone():
            try:
                self._start()
            except BaseException:
                self.down()
                raise

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Two starts in the same home at once would tread on each other."""
        with (self.settings.feira_home / "lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise StackError("another start of this clone is under way") from None
            yield

    def _start(self) -> None:
        self.readiness.begin()
        self._open_mark.unlink(missing_ok=True)
        self._end_leftovers(patience=10)
        check_ports(self.settings)
        self.processes = {process.name: process for process in self._table()}
        self.services.prepare()
        self.supervisor.configure(self.processes.values())
        (self.settings.run / "ports.json").write_text(json.dumps(self.settings.ports), "utf-8")
        with self.progress.step("Supervisor started"):
            self.supervisor.start()
        self._start_stores()
        with ExitStack() as loaded:
            commands = {
                service: loaded.enter_context(self._commands(service)) for service in WITH_DATABASE
            }
            self._start_services()
            self._prepare_data(commands)
            with self.progress.step("All processes ready"):
                self.wait_ready()
            with self.progress.step("A purchase went through, was cancelled and forgotten"):
                gateway_url = f"http://127.0.0.1:{self.settings.port}"
                bought = Shopper(gateway_url, self.secrets.probe_password).buy_and_undo()
                commands["orders"].run("forget-probe")
            if not bought:
                self.progress.say(CLOSED)
        self._open_mark.touch()

    def _prepare_data(self, commands: dict[str, CommandLine]) -> None:
        with self.progress.step("PostgreSQL primary accepts connections"):
            self.cluster.wait_until_accepting(
                partial(self.readiness.check, [locks.NAME, *self.cluster.nodes])
            )
            ensure_roles_and_databases(self.cluster, self.secrets)
            self._take_up_restored()
        self.readiness.together(
            self._wait_for_standby,
            *(partial(self._prepare_service, commands[name], name) for name in WITH_DATABASE),
        )

    def _take_up_restored(self) -> None:
        """After a restore: see that it is that data, and have its last events sent again."""
        if not self.cluster.restored_note.exists():
            return
        noted = json.loads(self.cluster.restored_note.read_text("utf-8"))
        for database, position in noted.items():
            url = self.cluster.superuser_url(database)
            reconcile.check_identity(url, position)
            reconcile.rewind(url, position["cursors"])
            if self.settings.peers and database == "catalog":
                reconcile.close_stock(url, self.settings.node_name)
        self.cluster.restored_note.unlink()

    def _table(self) -> list[Process]:
        return [
            locks.process(self.settings),
            *self.cluster.processes(),
            *redis.processes(self.settings, self.secrets),
            *self.services.processes(),
            gateway.process(self.settings, self.cluster.launcher),
        ]

    def _start_stores(self) -> None:
        self.supervisor.start_process(locks.NAME)
        locks.wait_until_listening(self.settings, seconds=20)
        for name, process in self.processes.items():
            if process.stage is Stage.STORES:
                self.supervisor.start_process(name)

    def _start_services(self) -> None:
        """Start all that can load while the databases come up: loading is what takes the time."""
        late = {_background(service) for service in WITH_DATABASE}
        for name, process in self.processes.items():
            if process.stage > Stage.STORES and name not in late:
                self.supervisor.start_process(name)

    def _wait_for_standby(self) -> None:
        began = time.monotonic()
        patience = self.settings.start_seconds
        cloned = False
        with self.progress.step("PostgreSQL standby has what the primary has"):
            while not self.cluster.has_sync_standby():
                self.readiness.check(self.cluster.nodes)
                self.cluster.hasten()
                waited = time.monotonic() - began
                if waited > patience / 2 and not cloned:
                    # What the primary has kept does not reach back to where it was left.
                    self.cluster.clone_standby_again()
                    cloned = True
                if waited > patience:
                    standby = next(n for n in self.cluster.nodes if n != self.cluster.primary())
                    raise self.readiness.failure(standby, "does not follow the primary")
                self.readiness.pause(0.3)

    def _prepare_service(self, commands: CommandLine, service: str) -> None:
        with self.progress.step(f"Tables of {service} up to date"):
            commands.run("migrate")
        self.supervisor.start_process(_background(service))
        with self.progress.step(f"First data of {service} loaded"):
            commands.run("seed")

    def _commands(self, service: str) -> CommandLine:
        return CommandLine(self.settings, self.services, service)

    def command(self, service: str, command: str) -> None:
        """Run a command of a service, such as `seed`; raises StackError with its log."""
        with self._commands(service) as commands:
            commands.run(command)

    def down(self) -> None:
        """Stop everything in order, then make sure that nothing is left. Bounded in time."""
        self.readiness.cancelled.set()
        if self.running():
            for stage in sorted(Stage, reverse=True):
                with self.progress.step(f"{stage.name.capitalize()} stopped"):
                    self._stop_stage(stage)
            self.supervisor.shutdown()
            has_time = self._timer(10)
            while self.supervisor.pid and has_time():
                time.sleep(0.05)
        self._end_leftovers(patience=0 if self.hurry.is_set() else 5)
        # It is none of those by now, and may still be about to end.
        self.supervisor.reap(5)

    def _stop_stage(self, stage: Stage) -> None:
        stages = self.supervisor.stages()
        names = [name for name, its_stage in stages.items() if its_stage == stage]
        # While they start, services have nothing to finish, and are slow to answer.
        cut_short = stage is Stage.SERVICES and not self.is_open()
        if stage is Stage.STORES:
            self._stop_databases()
        self.supervisor.stop_processes(names, self._timer(3 if cut_short else 30))

    def _stop_databases(self) -> None:
        states = self.supervisor.states()
        nodes = [name for name in self.cluster.nodes if name in states and states[name].pid]
        self.cluster.shut_down([states[name].pid for name in nodes], self._timer(20))
        self.supervisor.stop_processes(nodes, has_time=lambda: False)

    def _timer(self, seconds: float) -> Callable[[], bool]:
        """A function that tells whether there is time left, and nobody is in a hurry."""
        limit = time.monotonic() + seconds
        return lambda: time.monotonic() < limit and not self.hurry.is_set()

    def _end_leftovers(self, patience: float) -> None:
        end_leftovers(self.settings.feira_home, patience=patience)
        launcher = self.cluster.launcher
        if launcher.changes_user:
            arguments = ("--end", str(self.settings.feira_home), str(patience))
            subprocess.run(launcher.command(*launch(*arguments)), check=False)

    def restart(self, name: str) -> None:
        """Stop one process, start it again and wait until it is ready."""
        self.supervisor.stop_processes([name], self._timer(30))
        self.readiness.forget(name)
        self.supervisor.start_process(name)
        self.wait_ready([name])


def _background(service: str) -> str:
    return f"{service}-background"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise StackError(f"{folder} cannot be made: {error.strerror}") from None
    if not os.access(folder, os.W_OK):
        raise StackError(f"{folder} is not this user's; set FEIRA_HOME to a folder that is")
