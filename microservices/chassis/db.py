"""The database of one service: transactions on the primary, reads on a standby, tokens.

A read that presents the token of a write (see `consistency`) is done on the standby if that has
replayed so far, else on the primary. Whoever needs the primary is held while there is none, until
the deadline of the work at hand (see `deadline`).
"""

from __future__ import annotations

import functools
import random
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import structlog
from sqlalchemy import Row, text
from sqlalchemy.dialects.postgresql import psycopg2
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session
from sqlalchemy.pool import QueuePool

from chassis import deadline, tracing
from chassis.consistency import position_in
from chassis.metrics import HELD, POOL_IN_USE, POOL_SIZE, samples
from chassis.postgres import READ_ONLY_TRANSACTION, READ_SECONDS, Backoff, NoHostServes, engine_for
from chassis.problems import Unavailable

Result = TypeVar("Result")
RETRYABLE = {"40001", "40P01"}
TOKEN_SECONDS = 1.0
# For how long those who can do without the primary do not ask it, once it did not answer one.
AWAY_SECONDS = 1.0
# Replayed by no standby ever: a read that presents it goes to the primary.
BEYOND_ALL = "FFFFFFFF/FFFFFFFF"

log = structlog.get_logger()


class Database:
    """Both doors to a cluster: `write` on the primary, `read` wherever it is fresh enough."""

    def __init__(
        self, name: str, dsn: str, *, pool_size: int, wait_seconds: float, application_name: str
    ) -> None:
        """Nothing connects before the first use.

        Args:
            name: of the service; the prefix of its consistency tokens.
            dsn: libpq URI with every host of the cluster.
            pool_size: connections per pool; there are two, of the primary and for reads.
            wait_seconds: the longest silence of PostgreSQL before a call is given up; without a
                deadline also how long a call is held while there is no primary.
            application_name: as shown in pg_stat_activity.
        """
        self.name = name
        self._span = f"database {name}"
        self.patience = wait_seconds
        self._away_until = 0.0
        self.primary = engine_for(
            dsn,
            "read-write",
            pool_size=pool_size,
            wait_seconds=wait_seconds,
            application_name=application_name,
        )
        self.reader = engine_for(
            dsn,
            "prefer-standby",
            pool_size=pool_size,
            wait_seconds=wait_seconds,
            application_name=application_name,
        )

        for outcome in ("finished", "given up"):
            HELD.labels(name, outcome)
        self._watch("primary", self.primary)
        self._watch("reader", self.reader)

    def _watch(self, pool_name: str, engine: Engine) -> None:
        pool = engine.pool
        assert isinstance(pool, QueuePool)
        in_use = POOL_IN_USE.labels(self.name, pool_name)
        size = POOL_SIZE.labels(self.name, pool_name)

        def sample() -> None:
            in_use.set(pool.checkedout())
            size.set(pool.size())

        samples.add(sample)

    def write(self, work: Callable[[Session], Result], *, repeatable: bool = False) -> Result:
        """Run `work` in one transaction on the primary and commit it.

        The whole transaction is tried again on a serialization failure or deadlock, and on a
        connection that was lost before the COMMIT was sent: then nothing was done. When it is
        lost later, or time runs out in the COMMIT, the outcome is unknown, and it is tried again
        only if `repeatable` says that doing it twice has the effect of once.

        Raises:
            OperationalError: the primary could not be asked within the bounded wait, or the
                connection broke and the outcome of the transaction is unknown.
            DeadlinePassed: no time was left to ask.
        """
        committing = False

        def attempt() -> Result:
            nonlocal committing
            committing = False
            with self.primary.connect() as connection, _transaction(connection):
                with Session(connection, expire_on_commit=False) as session:
                    result = work(session)
                    session.flush()
                committing = True
            return result

        return self._with_retries(attempt, lambda: repeatable or not committing)

    def call(self, sql: str, parameters: Mapping[str, Any], *, repeatable: bool) -> Row[Any]:
        """Run one statement as its own transaction: one round trip, shortest lock; its row."""

        return self._with_retries(lambda: self._row(sql, parameters), lambda: repeatable)

    def _row(self, sql: str, parameters: Mapping[str, Any]) -> Row[Any]:
        with self.primary.connect() as connection:
            return connection.exec_driver_sql(_for_driver(sql), dict(parameters)).one()

    def read(self, work: Callable[[Session], Result], token: str | None = None) -> Result:
        """Run read-only `work` where the state is at least as new as `token` says.

        A standby that vanished in the middle is forgotten and the work done again once.
        """
        position = position_in(token, self.name)
        for engine in (self.reader, self.reader, self.primary):
            try:
                with tracing.span(self._span, "client"), Session(engine) as session:
                    if position and engine is self.reader and not _replayed(session, position):
                        continue
                    return work(session)
            except DBAPIError as error:
                if not error.connection_invalidated and not isinstance(error, OperationalError):
                    raise
                if engine is self.primary:
                    raise
                log.warning("read_retried", error=str(error.orig).splitlines()[:1])
        raise AssertionError("unreachable: the primary either answers or raises")

    def read_primary(self, work: Callable[[Session], Result]) -> Result:
        """Run read-only `work` on the primary, for decisions that lag must not mislead."""
        return self._with_retries(lambda: self._read_once(work), lambda: True)

    def read_latest(self, work: Callable[[Session], Result]) -> Result:
        """Run read-only `work` on the primary, or wherever it can be read when that is away."""
        if time.monotonic() >= self._away_until:
            try:
                with deadline.within(READ_SECONDS):
                    return self._read_once(work)
            except (OperationalError, PoolTimeout):
                self._away_until = time.monotonic() + AWAY_SECONDS
        return self.read(work)

    def _read_once(self, work: Callable[[Session], Result]) -> Result:
        with Session(self.primary) as session:
            return work(session)

    def token(self) -> str:
        """The token of everything committed so far, for the answer to a write.

        What is written is written: when the primary goes away before it says where, the token is
        one that only the primary satisfies.
        """
        try:
            with deadline.within(TOKEN_SECONDS):
                return f"{self.name}:{self._row('SELECT pg_current_wal_insert_lsn()', {})[0]}"
        except (DBAPIError, PoolTimeout):
            return f"{self.name}:{BEYOND_ALL}"

    def _with_retries(
        self, attempt: Callable[[], Result], repeatable: Callable[[], bool]
    ) -> Result:
        backoff = Backoff(self.patience)
        refused = False
        while True:
            try:
                deadline.check()
                with tracing.span(self._span, "client"):
                    result = attempt()
            except (DBAPIError, deadline.DeadlinePassed) as error:
                # Who is woken too late for another attempt is told what became of the last one.
                late = isinstance(error, deadline.DeadlinePassed)
                refused = refused if late else _code(error) == READ_ONLY_TRANSACTION
                if not _may_try_again(error, repeatable()) or not backoff.wait(random.random):
                    self._held(backoff, "given up")
                    if refused:
                        raise Unavailable("The database has no primary just now.") from error
                    raise
            else:
                self._held(backoff, "finished")
                return result

    def _held(self, backoff: Backoff, outcome: str) -> None:
        if backoff.tried_again:
            HELD.labels(self.name, outcome).observe(time.monotonic() - backoff.began)

    def dispose(self) -> None:
        """Close every pooled connection (after a fork, at shutdown)."""
        for engine in (self.primary, self.reader):
            engine.dispose()


@functools.cache
def _for_driver(sql: str) -> str:
    """A statement with the driver's places, made once: `execute` would look at it in every call."""
    return str(text(sql).compile(dialect=psycopg2.dialect()))  # type: ignore[no-untyped-call]


@contextmanager
def _transaction(connection: Connection) -> Iterator[None]:
    """BEGIN, and COMMIT at the end or ROLLBACK on an error: as many messages as psycopg2's own."""
    connection.exec_driver_sql("BEGIN")
    try:
        yield
        connection.exec_driver_sql("COMMIT")
    except BaseException:
        _roll_back(connection)
        raise


def _roll_back(connection: Connection) -> None:
    if connection.invalidated:
        return
    try:
        connection.exec_driver_sql("ROLLBACK")
    except BaseException:
        # Whatever it is in the middle of, nobody else may get it.
        connection.invalidate()


def _replayed(session: Session, position: str) -> bool:
    return bool(
        session.scalar(
            text(
                "SELECT NOT pg_is_in_recovery()"
                " OR pg_last_wal_replay_lsn() >= CAST(:position AS pg_lsn)"
            ),
            {"position": position},
        )
    )


def _may_try_again(error: Exception, repeatable: bool) -> bool:
    if not isinstance(error, DBAPIError):
        return False
    code = getattr(error.orig, "pgcode", None)
    lost = error.connection_invalidated and repeatable
    return code in RETRYABLE or lost or _nothing_was_done(error)


def _nothing_was_done(error: DBAPIError) -> bool:
    """No server was connected to, or the one that was is no longer the primary."""
    return isinstance(error.orig, NoHostServes) or _code(error) == READ_ONLY_TRANSACTION


def _code(error: Exception) -> str | None:
    """The SQLSTATE that PostgreSQL answered with."""
    return getattr(getattr(error, "orig", None), "pgcode", None)


def ping(engine: Engine) -> bool:
    """Whether a connection answers `SELECT 1` now; never raises."""
    try:
        with engine.connect() as connection:
            return bool(connection.scalar(text("SELECT 1")) == 1)
    except DBAPIError:
        return False
