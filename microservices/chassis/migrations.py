"""Schema migrations of a service, run by the owner of its tables (`flask … migrate`)."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg2.extensions as pg
import structlog
from alembic import command, context, op
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, pool, text
from sqlalchemy.engine import Connection

from chassis.postgres import connector

LOCK = 821001
LOCK_SECONDS = 600.0

log = structlog.get_logger()


class MigrationRefused(Exception):
    """The database cannot be migrated now; the message says why."""


def upgrade(service_package: Path, dsn: str, revision: str = "head") -> None:
    """Bring a database to a revision; one migration at a time, others wait for it.

    A database that a newer version has migrated already is left as it is: the newer schema serves
    the older version too (see docs/operations.md, "Upgrades and migrations").

    Args:
        service_package: folder of the service, with `migrations/` in it.
        dsn: libpq URI of the owner role, with every host.
        revision: where to stop.

    Raises:
        MigrationRefused: the schema is neither ours nor of a newer version, or another migration
            did not end in time.
    """
    config = Config()
    folder = str(service_package / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.attributes["dsn"] = dsn
    with _patient():
        command.upgrade(config, revision)


def run() -> None:
    """What each `migrations/env.py` does."""
    engine = create_engine(
        "postgresql+psycopg2://",
        creator=connector(context.config.attributes["dsn"], "read-write", "migrate"),
        poolclass=pool.NullPool,
    )
    with engine.connect() as connection:
        _lock(connection)
        context.configure(connection=connection, transaction_per_migration=True)
        heads = context.get_context().get_current_heads()
        # That was a transaction, and alembic shall begin its own.
        connection.rollback()
        if _newer(context.script, heads):
            log.warning("schema_is_newer", schema=heads, known=context.script.get_heads())
            return
        with context.begin_transaction():
            context.run_migrations()


def _lock(connection: Connection) -> None:
    """Have this session be the only one that migrates, to its end.

    It asks again and again instead of waiting: a statement that waits holds a snapshot, and the
    other migration may be building an index that waits for every snapshot before it.
    """
    limit = time.monotonic() + LOCK_SECONDS
    while not connection.scalar(text("SELECT pg_try_advisory_lock(:lock)"), {"lock": LOCK}):
        connection.commit()
        if time.monotonic() > limit:
            raise MigrationRefused(f"another migration has not ended for {LOCK_SECONDS:.0f} s")
        time.sleep(0.2)
    connection.commit()


def _newer(script: ScriptDirectory, heads: tuple[str, ...]) -> bool:
    """Whether the schema has a revision that comes after all of ours; they are numbered.

    Raises MigrationRefused for one that is unknown and does not.
    """
    known = {revision.revision for revision in script.walk_revisions()}
    for head in set(heads) - known:
        if not (head.isdigit() and head > max(known)):
            raise MigrationRefused(f"the schema has revision {head}, which is none of this service")
    return bool(set(heads) - known)


@contextmanager
def _patient() -> Iterator[None]:
    """Waits as long as a statement takes: an index on a large table outlasts a request's bounds."""
    callback = pg.get_wait_callback()
    pg.set_wait_callback(None)
    try:
        yield
    finally:
        pg.set_wait_callback(callback)


def run_sql_file(path: Path) -> None:
    """Execute a file of SQL statements inside a migration, as it is written."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute(path.read_text(encoding="utf-8"))


def build_index(name: str, definition: str) -> None:
    """Build an index inside a migration while its table is in use, however long that takes.

    Args:
        name: one of that name that was broken off is built anew.
        definition: what comes after `CREATE INDEX … ON`.
    """
    with op.get_context().autocommit_block():
        # It waits for every transaction that is older than it.
        op.execute("SET lock_timeout TO 0")
        broken = "SELECT FROM pg_index WHERE indexrelid = to_regclass(:name) AND NOT indisvalid"
        if op.get_bind().execute(text(broken), {"name": name}).one_or_none() is not None:
            op.execute(f"DROP INDEX CONCURRENTLY {name}")
        op.execute(f"CREATE INDEX CONCURRENTLY IF NOT EXISTS {name} ON {definition}")
        op.execute("RESET lock_timeout")


def run_sql(sql: str) -> None:
    """Execute SQL inside a migration without any parameter substitution."""
    op.get_bind().connection.cursor().execute(sql)
