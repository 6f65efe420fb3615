"""Connections to a PostgreSQL cluster: which host, how long to wait, when to give one up.

libpq can pick a host by itself, but it has no limit on how long an established connection may
stay silent, and a server that is frozen still accepts connections. So psycopg2 is run with a wait
callback that has a limit, and hosts are tried here, one at a time. No wait, be it for a place in
the pool, for a connection or for an answer, goes beyond the deadline of the work at hand.
"""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable
from typing import Any, Literal

import psycopg2
import psycopg2.extensions as pg
from sqlalchemy import create_engine, event
from sqlalchemy.engine import Engine, ExceptionContext
from sqlalchemy.exc import DisconnectionError
from sqlalchemy.pool import QueuePool

from chassis import deadline

Want = Literal["read-write", "prefer-standby"]

CONNECT_SECONDS = 2.0
# A read is given up sooner than a write: another host can answer it, and the gateway waits for it.
READ_SECONDS = 2.0
# How long a host that fell silent is tried after all others, and what is a silence when somebody's
# deadline cut it short.
SILENT_SECONDS = 10.0
SILENCE_SECONDS = 1.0
READ_ONLY_TRANSACTION = "25006"
UNKNOWN_HOST = "could not translate host name"
UNREPLICATED = "canceling wait for synchronous replication"


# What may take how long, unless the URI says otherwise.
BOUNDS: dict[str, Any] = {
    "connect_timeout": int(CONNECT_SECONDS),
    "tcp_user_timeout": 5000,
    "keepalives_idle": 5,
    "options": "-c lock_timeout=4000 -c idle_in_transaction_session_timeout=15000",
}


class NoHostServes(psycopg2.OperationalError):
    """No host could be connected to: nothing was sent, so nothing can have happened."""


def engine_for(
    dsn: str,
    want: Want,
    *,
    pool_size: int,
    wait_seconds: float,
    application_name: str,
) -> Engine:
    """An engine whose connections go to the primary, or to a standby while one serves.

    Each statement is its own transaction and one round trip, unless BEGIN is sent before it.

    Args:
        dsn: libpq URI that names every host of the cluster.
        want: `read-write` finds the primary; `prefer-standby` takes any host as a last choice.
        pool_size: the connections that this process may hold.
        wait_seconds: the longest silence of the server before the connection is dropped, and the
            longest wait for a place in the pool where there is no deadline.
        application_name: as shown in pg_stat_activity.
    """
    install_wait_callback(wait_seconds)
    engine = create_engine(
        "postgresql+psycopg2://",
        creator=connector(dsn, want, application_name),
        poolclass=_Pool,
        pool_size=pool_size,
        max_overflow=0,
        # An error's text goes to the log, and the parameters hold e-mails and addresses.
        hide_parameters=True,
        pool_timeout=wait_seconds,
        # Reads come back to a standby that has returned, writes to nothing older than this.
        pool_recycle=30 if want == "prefer-standby" else 300,
        pool_use_lifo=True,
        # Never set per use: going back costs a round trip, and when that fails the connection's
        # place in the pool is lost for good.
        isolation_level="AUTOCOMMIT",
    )
    event.listen(engine, "handle_error", _drop_connection_that_turned_read_only)
    event.listen(engine, "checkout", _drop_connection_to_a_host_gone_silent)
    if want == "read-write":
        event.listen(engine, "after_cursor_execute", _doubt_commit_that_did_not_wait)
    return engine


class _Pool(QueuePool):
    """Waits for a free connection for as long as there is time, however long that is."""

    _patience: float

    @property
    def _timeout(self) -> float:
        left = deadline.remaining()
        return self._patience if math.isinf(left) else left

    @_timeout.setter
    def _timeout(self, seconds: float) -> None:
        self._patience = seconds


def install_wait_callback(wait_seconds: float) -> None:
    """Bound every wait for PostgreSQL in this process; psycopg2 closes what ran out of time."""

    def wait(connection: pg.connection) -> None:
        poller = select.poll()
        while (state := connection.poll()) != pg.POLL_OK:
            mask = select.POLLIN if state == pg.POLL_READ else select.POLLOUT
            descriptor = connection.fileno()
            poller.register(descriptor, mask)
            # A server that never finished the handshake gets less patience than one at work.
            limit = min(getattr(connection, "patience", wait_seconds), wait_seconds)
            if connection.status == 0:
                limit = min(limit, CONNECT_SECONDS)
            patience = min(limit, deadline.remaining())
            if not poller.poll(patience * 1000):
                if patience >= min(limit, SILENCE_SECONDS) and isinstance(connection, _Watched):
                    connection.host.fell_silent()
                raise psycopg2.OperationalError(f"PostgreSQL was silent for {patience:.1f} s")
            poller.unregister(descriptor)

    pg.set_wait_callback(wait)


class _Watched(pg.connection):
    """A connection that knows its host, how long it may wait for it, and since when it is open."""

    host: _Host
    patience: float
    opened: float


# By host and port, for all pools of the process: what one of them has met, the others need not.
_silent_since: dict[tuple[str, str], float] = {}


class _Host:
    """One server of the cluster, and whether it fell silent just now."""

    def __init__(self, options: dict[str, Any], patience: float) -> None:
        self._options = options
        self._address = (options["host"], options["port"])
        self._kind = type("Watched", (_Watched,), {"host": self, "patience": patience})

    def fell_silent(self) -> None:
        """A connection to it, or an attempt at one, ran out of time."""
        _silent_since[self._address] = time.monotonic()

    @property
    def silent_since(self) -> float:
        """When that was, if it was a moment ago; else endlessly long ago."""
        since = _silent_since.get(self._address, -math.inf)
        return since if time.monotonic() < since + SILENT_SECONDS else -math.inf

    @property
    def silent(self) -> bool:
        """Whether that was a moment ago."""
        return self.silent_since > -math.inf

    def connect(self, **options: str) -> pg.connection:
        """A new connection, if the host answers and is what the options ask for."""
        connection: _Watched = psycopg2.connect(
            **BOUNDS | self._options | options, connection_factory=self._kind
        )
        connection.opened = time.monotonic()
        return connection


def connector(dsn: str, want: Want, application_name: str) -> Callable[[], pg.connection]:
    """A function that connects to the host of the cluster that serves `want` now."""
    patience = READ_SECONDS if want == "prefer-standby" else math.inf
    hosts = [_Host(options, patience) for options in single_host_dsns(dsn)]
    attempts = [(host, "read-write" if want == "read-write" else "standby") for host in hosts]
    if want == "prefer-standby":
        attempts += [(host, "any") for host in hosts]
    # Whatever kind of host is the last choice stays it; among equals, who failed last comes last.
    failed_at = dict.fromkeys(attempts, -math.inf)

    def rank(attempt: tuple[_Host, str]) -> tuple[bool, bool, float]:
        host, attributes = attempt
        return host.silent, attributes == "any", failed_at[attempt]

    def connect() -> pg.connection:
        reason = "no host"
        for attempt in sorted(attempts, key=rank):
            host, attributes = attempt
            if not deadline.remaining():
                reason = "no time left"
                break
            try:
                connection = host.connect(
                    target_session_attrs=attributes, application_name=application_name
                )
            except psycopg2.OperationalError as error:
                # Also when there was no time to wait for it: the next one asks another host first.
                failed_at[attempt] = time.monotonic()
                reason = str(error).strip().splitlines()[0] if str(error) else "no answer"
                # The name of a host that is gone is looked for for a second or more each time.
                if UNKNOWN_HOST in reason:
                    host.fell_silent()
                continue
            failed_at[attempt] = -math.inf
            return connection
        raise NoHostServes(f"no host of the cluster serves {want}: {reason}")

    return connect


def role_of(host: dict[str, Any]) -> str:
    """`primary` or `standby`, asked over a connection of its own.

    Raises:
        psycopg2.Error: the host did not answer before the deadline.
    """
    connection = psycopg2.connect(**BOUNDS | host)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_is_in_recovery()")
            row = cursor.fetchone()
            return "standby" if row and row[0] else "primary"
    finally:
        connection.close()


def single_host_dsns(dsn: str) -> list[dict[str, Any]]:
    """What to connect to each host of a cluster with."""
    parsed = pg.parse_dsn(dsn)
    hosts = parsed.pop("host", "localhost").split(",")
    ports = parsed.pop("port", "5432").split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    return [{**parsed, "host": host, "port": port} for host, port in zip(hosts, ports, strict=True)]


def _drop_connection_that_turned_read_only(context: ExceptionContext) -> None:
    # A demoted primary keeps its connections and refuses their writes; SQLAlchemy does not
    # count that as a disconnect, so the pool would hand the dead end out again and again.
    if getattr(context.original_exception, "pgcode", None) == READ_ONLY_TRANSACTION:
        context.is_disconnect = True


def _doubt_commit_that_did_not_wait(_: object, cursor: pg.cursor, *__: object) -> None:
    # Whoever cancels the wait for the standby gets a warning and a success, of a commit that goes
    # with its host. It is taken for what it is: nobody knows if it lasts.
    notices = cursor.connection.notices
    if notices:
        found = [each for each in notices if UNREPLICATED in each]
        notices.clear()
        if found:
            raise psycopg2.OperationalError("the commit may not be on the standby")


def _drop_connection_to_a_host_gone_silent(connection: pg.connection, *_: object) -> None:
    # Each connection that the pool still has to a host that froze would cost the wait again.
    if isinstance(connection, _Watched) and connection.opened < connection.host.silent_since:
        raise DisconnectionError("the host fell silent after this connection was opened")


class Backoff:
    """Waits with full jitter until the deadline, or for `seconds` where there is none."""

    def __init__(self, seconds: float, first: float = 0.02, most: float = 0.5) -> None:
        left = deadline.remaining()
        self.began = time.monotonic()
        self.tried_again = False
        self._end = self.began + (seconds if math.isinf(left) else left)
        self._next = first
        self._most = most

    def wait(self, random: Callable[[], float]) -> bool:
        """Sleep a little; False when there is no time for another try."""
        pause = self._next * (0.5 + random() / 2)
        if time.monotonic() + pause >= self._end:
            return False
        time.sleep(pause)
        self.tried_again = True
        self._next = min(self._next * 2, self._most)
        return True
