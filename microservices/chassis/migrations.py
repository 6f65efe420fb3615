"""Schema migrations of a service, run by the owner of its tables (`flask … migrate`)."""

from __future__ import annotations

from pathlib import Path

from alembic import command, context, op
from alembic.config import Config
from sqlalchemy import create_engine, pool, text

from chassis.postgres import connector


def upgrade(service_package: Path, dsn: str, revision: str = "head") -> None:
    """Bring a database to a revision; one migration at a time, others wait for it.

    Args:
        service_package: folder of the service, with `migrations/` in it.
        dsn: libpq URI of the owner role, with every host.
        revision: where to stop.
    """
    config = Config()
    folder = str(service_package / "migrations")
    config.set_main_option("script_location", folder.replace("%", "%%"))
    config.attributes["dsn"] = dsn
    command.upgrade(config, revision)


def run() -> None:
    """What each `migrations/env.py` does."""
    engine = create_engine(
        "postgresql+psycopg2://",
        creator=connector(context.config.attributes["dsn"], "read-write", "migrate"),
        poolclass=pool.NullPool,
    )
    with engine.connect() as connection:
        # Held to the end of the session: two migrations never run beside each other.
        connection.execute(text("SELECT pg_advisory_lock(821001)"))
        connection.commit()
        context.configure(connection=connection, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()


def run_sql_file(path: Path) -> None:
    """Execute a file of SQL statements inside a migration, as it is written."""
    cursor = op.get_bind().connection.cursor()
    cursor.execute(path.read_text(encoding="utf-8"))


def run_sql(sql: str) -> None:
    """Execute SQL inside a migration without any parameter substitution."""
    op.get_bind().connection.cursor().execute(sql)
