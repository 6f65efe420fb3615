"""Roles and databases of the cluster: two databases that know nothing of each other."""

from __future__ import annotations

from contextlib import closing

import psycopg2
from psycopg2 import sql

from local.postgres import Cluster
from local.secrets import Secrets

# Database name to the role that owns it and the role that its service works with.
DATABASES = {
    "catalog": ("catalog_owner", "catalog"),
    "orders": ("orders_owner", "orders"),
}
_READ_BY_REWIND = (
    "pg_ls_dir(text, boolean, boolean)",
    "pg_stat_file(text, boolean)",
    "pg_read_binary_file(text)",
    "pg_read_binary_file(text, bigint, bigint, boolean)",
)


def ensure_roles_and_databases(cluster: Cluster, secrets: Secrets) -> None:
    """Bring roles, passwords, databases and grants to what they should be; safe to repeat."""
    passwords = {
        "catalog_owner": secrets.catalog_owner_password,
        "catalog": secrets.catalog_password,
        "orders_owner": secrets.orders_owner_password,
        "orders": secrets.orders_password,
        "auditor": secrets.auditor_password,
        "replicator": secrets.replicator_password,
        "rewinder": secrets.rewinder_password,
    }
    with closing(psycopg2.connect(cluster.superuser_url())) as connection:
        # CREATE DATABASE runs in no transaction.
        connection.autocommit = True
        with connection.cursor() as cursor:
            _ensure_roles(cursor, passwords)
            _ensure_databases(cursor)
    for database, (owner, application) in DATABASES.items():
        connecting = closing(psycopg2.connect(cluster.superuser_url(database)))
        with connecting as connection, connection, connection.cursor() as cursor:
            _restrict_schema(cursor, owner, application)


def _ensure_roles(cursor: psycopg2.extensions.cursor, passwords: dict[str, str]) -> None:
    # The statements hold passwords, and the log is no place for them.
    cursor.execute("SET log_statement = 'none'; SET log_min_error_statement = 'panic'")
    cursor.execute("SET log_min_duration_statement = -1")
    cursor.execute("SELECT rolname FROM pg_roles")
    known = {row[0] for row in cursor.fetchall()}
    for role, password in passwords.items():
        statement = ("ALTER" if role in known else "CREATE") + " ROLE {} {} PASSWORD {}"
        rights = sql.SQL("LOGIN REPLICATION" if role == "replicator" else "LOGIN")
        values = (sql.Identifier(role), rights, sql.Literal(password))
        cursor.execute(sql.SQL(statement).format(*values))
    cursor.execute("GRANT pg_read_all_data, pg_monitor TO auditor")
    cursor.execute("ALTER ROLE auditor SET default_transaction_read_only = on")


def _ensure_databases(cursor: psycopg2.extensions.cursor) -> None:
    cursor.execute("SELECT datname FROM pg_database")
    known = {row[0] for row in cursor.fetchall()}
    for database, (owner, application) in DATABASES.items():
        name = sql.Identifier(database)
        if database not in known:
            create = sql.SQL("CREATE DATABASE {} OWNER {}")
            cursor.execute(create.format(name, sql.Identifier(owner)))
        cursor.execute(sql.SQL("REVOKE ALL ON DATABASE {} FROM PUBLIC").format(name))
        users = sql.SQL(", ").join(map(sql.Identifier, (application, "auditor")))
        cursor.execute(sql.SQL("GRANT CONNECT ON DATABASE {} TO {}").format(name, users))
    cursor.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")
    # pg_rewind reads files through this database.
    cursor.execute("GRANT CONNECT ON DATABASE postgres TO rewinder")
    for function in _READ_BY_REWIND:
        cursor.execute(f"GRANT EXECUTE ON FUNCTION pg_catalog.{function} TO rewinder")


def _restrict_schema(cursor: psycopg2.extensions.cursor, owner: str, application: str) -> None:
    """Only the owner, who runs the migrations, makes or changes tables."""
    cursor.execute("REVOKE ALL ON SCHEMA public FROM PUBLIC")
    cursor.execute(
        sql.SQL("GRANT USAGE, CREATE ON SCHEMA public TO {}").format(sql.Identifier(owner))
    )
    users = sql.SQL(", ").join(map(sql.Identifier, (application, "auditor")))
    cursor.execute(sql.SQL("GRANT USAGE ON SCHEMA public TO {}").format(users))
