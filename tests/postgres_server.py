"""A small PostgreSQL of a test's own: one server with databases for the asking."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from contextlib import closing
from pathlib import Path

import psycopg2

from local.postgres import binary
from local.unprivileged import find_launcher

CONFIGURATION = """
listen_addresses = '127.0.0.1'
port = {port}
unix_socket_directories = '{sockets}'
max_connections = 60
shared_buffers = 32MB
jit = off
fsync = {fsync}
timezone = 'UTC'
"""


class PostgresServer:
    """Starts when made; `stop` ends it. Nobody but this machine reaches it, so it trusts."""

    def __init__(self, folder: Path, *, fsync: bool = False, sockets: Path | None = None) -> None:
        """Start it.

        Args:
            folder: for its data.
            fsync: whether what it wrote survives the machine.
            sockets: a short path of a folder for its Unix socket, if it is to have one.
        """
        self._sockets = sockets or ""
        self._data = folder / "data"
        self._launcher = find_launcher(folder, binary("postgres"))
        self._data.mkdir()
        self._launcher.own(self._data)
        if sockets:
            self._launcher.own(sockets)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port: int = probe.getsockname()[1]
        self._run("initdb", "-U", "postgres", "--auth=trust", "--locale=C.UTF-8", "--no-sync")
        with (self._data / "postgresql.conf").open("a") as file:
            told = {"port": self.port, "fsync": "on" if fsync else "off"}
            file.write(CONFIGURATION.format(**told, sockets=self._sockets))
        self.start()

    def _run(self, program: str, *arguments: str) -> None:
        command = self._launcher.command(binary(program), "-D", self._data, *arguments)
        subprocess.run(command, check=True, capture_output=True)

    def start(self) -> None:
        """Start it and wait until it answers."""
        command = self._launcher.command(binary("postgres"), "-D", self._data)
        with (self._data.parent / "postgres.log").open("ab") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        limit = time.monotonic() + 30
        while True:
            try:
                return psycopg2.connect(self.dsn("postgres"), connect_timeout=2).close()
            except psycopg2.OperationalError:
                assert time.monotonic() < limit, "PostgreSQL did not start"
                time.sleep(0.05)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """End it, by default in good order."""
        os.kill(self._process.pid, how)
        self._process.wait(30)

    def dsn(self, database: str) -> str:
        """libpq URI of a database."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{database}"

    def local_dsn(self, database: str) -> str:
        """The same by its Unix socket, which is there on every network and on none."""
        return f"postgresql://postgres@/{database}?host={self._sockets}&port={self.port}"

    def create(self, database: str) -> str:
        """A new database; its URI."""
        with closing(psycopg2.connect(self.dsn("postgres"))) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(f'CREATE DATABASE "{database}"')
        return self.dsn(database)
