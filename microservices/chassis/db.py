"""The database of one service: transactions on the primary, reads on a standby, tokens.

A read that presents the token of a write (see `consistency`) is done on the standby if that has
replayed so far, else on the primary.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import structlog
from sqlalchemy import Row, text
from sqlalchemy.engine import Engine
from sqlalchemy.exc import DBAPIError, OperationalError
from sqlalchemy.orm import Session

from chassis.consistency import position_in
from chassis.postgres import Backoff, NoHostServes, engine_for

Result = TypeVar("Result")
RETRYABLE = {"40001", "40P01"}

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
            pool_size: connections per pool; there are two, statements on the primary and reads,
                and half as many for transactions of several statements.
            wait_seconds: the longest silence of PostgreSQL before a call is given up.
            application_name: as shown in pg_stat_activity.
        """
        self.name = name
        self.patience = wait_seconds
        self.primary = engine_for(
            dsn,
            "read-write",
            transactions=True,
            pool_size=(pool_size + 1) // 2,
            wait_seconds=wait_seconds,
            application_name=application_name,
        )
        self.statements = engine_for(
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

    def write(self, work: Callable[[Session], Result], *, repeatable: bool = False) -> Result:
        """Run `work` in one transaction on the primary and commit it.

        The whole transaction is tried again on a serialization failure or deadlock, and on a
        connection that was lost before the COMMIT was sent: then nothing was done. When it is
        lost later the outcome is unknown, and it is tried again only if `repeatable` says that
        doing it twice has the effect of once.

        Raises:
            OperationalError: the primary could not be asked within the bounded wait, or the
                connection broke and the outcome of the transaction is unknown.
        """
        committing = False

        def attempt() -> Result:
            nonlocal committing
            committing = False
            with Session(self.primary, expire_on_commit=False) as session:
                result = work(session)
                session.flush()
                committing = True
                session.commit()
                return result

        return self._with_retries(attempt, lambda: repeatable or not committing)

    def call(self, sql: str, parameters: Mapping[str, Any], *, repeatable: bool) -> Row[Any]:
        """Run one statement as its own transaction: one round trip, shortest lock; its row."""

        def attempt() -> Row[Any]:
            with self.statements.connect() as connection:
                return connection.execute(text(sql), parameters).one()

        return self._with_retries(attempt, lambda: repeatable)

    def read(self, work: Callable[[Session], Result], token: str | None = None) -> Result:
        """Run read-only `work` where the state is at least as new as `token` says.

        A standby that vanished in the middle is forgotten and the work done again once.
        """
        position = position_in(token, self.name)
        for engine in (self.reader, self.reader, self.statements):
            try:
                with Session(engine) as session:
                    if position and engine is self.reader and not _replayed(session, position):
                        continue
                    return work(session)
            except DBAPIError as error:
                if not error.connection_invalidated and not isinstance(error, OperationalError):
                    raise
                if engine is self.statements:
                    raise
                log.warning("read_retried", error=str(error.orig).splitlines()[:1])
        raise AssertionError("unreachable: the primary either answers or raises")

    def read_primary(self, work: Callable[[Session], Result]) -> Result:
        """Run read-only `work` on the primary, for decisions that lag must not mislead."""
        return self._with_retries(lambda: self._read_once(work), lambda: True)

    def read_latest(self, work: Callable[[Session], Result]) -> Result:
        """Run read-only `work` on the primary, or wherever it can be read when that is away."""
        try:
            return self._read_once(work)
        except OperationalError:
            return self.read(work)

    def _read_once(self, work: Callable[[Session], Result]) -> Result:
        with Session(self.statements) as session:
            return work(session)

    def token(self) -> str:
        """The token of everything committed so far, for the answer to a write."""

        def position(session: Session) -> str:
            return str(session.scalar(text("SELECT pg_current_wal_insert_lsn()")))

        return f"{self.name}:{self.read_primary(position)}"

    def _with_retries(
        self, attempt: Callable[[], Result], repeatable: Callable[[], bool]
    ) -> Result:
        backoff = Backoff(time.monotonic() + self.patience)
        while True:
            try:
                return attempt()
            except DBAPIError as error:
                code = getattr(error.orig, "pgcode", None)
                lost = error.connection_invalidated or _never_connected(error)
                retry = code in RETRYABLE or (lost and (repeatable() or _never_connected(error)))
                if not retry or not backoff.wait(random.random):
                    raise

    def dispose(self) -> None:
        """Close every pooled connection (after a fork, at shutdown)."""
        for engine in (self.primary, self.statements, self.reader):
            engine.dispose()


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


def _never_connected(error: DBAPIError) -> bool:
    return isinstance(error.orig, NoHostServes)


def ping(engine: Engine) -> bool:
    """Whether a connection answers `SELECT 1` now; never raises."""
    try:
        with engine.connect() as connection:
            return bool(connection.scalar(text("SELECT 1")) == 1)
    except DBAPIError:
        return False
