"""Databases of branches: new ones, and copies as a backup has them."""

from __future__ import annotations

import functools
from contextlib import closing, suppress
from urllib.parse import urlsplit

import psycopg2

from chassis import migrations
from chassis.ids import new_id
from local.settings import REPOSITORY
from tests.postgres_server import PostgresServer


def fresh_database(server: PostgresServer, service: str) -> str:
    """A database with a service's tables; its URI."""
    template = _migrated(server, service)
    name = f"{service}-{new_id().lower()}"
    with closing(psycopg2.connect(server.dsn("postgres"))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{template}"')
    return server.dsn(name)


@functools.cache
def _migrated(server: PostgresServer, service: str) -> str:
    """The name of a database that was migrated once, and is copied from then on."""
    name = f"template-{service}"
    dsn = server.create(name)
    with closing(psycopg2.connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT rolname FROM pg_roles")
        known = {row[0] for row in cursor.fetchall()}
        for role in {"catalog", "orders", "auditor"} - known:
            cursor.execute(f"CREATE ROLE {role} LOGIN")
    migrations.upgrade(REPOSITORY / "microservices" / service, dsn)
    return name


def copy_of(dsn: str, server: PostgresServer) -> str:
    """A copy of a database as it is now, as a backup has it; its URI."""
    name = f"backup-{new_id().lower()}"
    with closing(psycopg2.connect(server.dsn("postgres"))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            while True:
                # A template must have no connections; those that end it begin again.
                break_off(dsn)
                with suppress(psycopg2.errors.ObjectInUse):
                    cursor.execute(f'CREATE DATABASE "{name}" TEMPLATE "{_name_of(dsn)}"')
                    return server.dsn(name)


def break_off(dsn: str) -> int:
    """End every connection to a database, whatever it is doing; how many."""
    with closing(psycopg2.connect(dsn.replace(_name_of(dsn), "postgres"))) as connection:
        connection.autocommit = True
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname = %s",
                (_name_of(dsn),),
            )
            return int(cursor.fetchall()[0][0])


def _name_of(dsn: str) -> str:
    return urlsplit(dsn).path.strip("/")
