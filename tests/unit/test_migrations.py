"""What `migrate` does with a schema that it does not know, and how long it may take."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import psycopg2
import psycopg2.extensions as pg
import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from chassis import migrations
from chassis.postgres import install_wait_callback
from local.settings import REPOSITORY
from tests.branches.databases import fresh_database
from tests.postgres_server import PostgresServer

SERVICES = ("catalog", "orders")


def scripts(service: str) -> ScriptDirectory:
    return ScriptDirectory(str(REPOSITORY / "microservices" / service / "migrations"))


@pytest.mark.parametrize("service", SERVICES)
def test_the_schema_of_the_next_version_is_left_as_it_is(service: str) -> None:
    (head,) = scripts(service).get_heads()
    assert migrations._newer(scripts(service), (f"{int(head) + 1:04}",))
    assert not migrations._newer(scripts(service), (head,))
    assert not migrations._newer(scripts(service), ())


@pytest.mark.parametrize("revision", ["0000", "1a2b3c", "other"])
def test_a_schema_that_is_none_of_ours_is_refused(revision: str) -> None:
    with pytest.raises(migrations.MigrationRefused, match=revision):
        migrations._newer(scripts("catalog"), (revision,))


@pytest.mark.parametrize("service", SERVICES)
def test_revisions_are_numbered_one_after_the_other(service: str) -> None:
    revisions = [each.revision for each in scripts(service).walk_revisions()]
    assert revisions == [f"{number:04}" for number in range(len(revisions), 0, -1)]


def test_a_migration_is_not_bound_by_the_patience_of_a_request(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    during = []

    def migrate(config: Config, revision: str) -> None:
        during.append(pg.get_wait_callback())

    monkeypatch.setattr(command, "upgrade", migrate)
    install_wait_callback(5.0)
    try:
        before = pg.get_wait_callback()
        migrations.upgrade(Path("catalog"), "postgresql:///")
        assert during == [None]
        assert pg.get_wait_callback() is before is not None
    finally:
        pg.set_wait_callback(None)


def test_an_index_that_was_broken_off_is_built_anew(tmp_path: Path) -> None:
    server = PostgresServer(tmp_path)
    try:
        dsn = fresh_database(server, "catalog")
        with closing(psycopg2.connect(dsn)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(
                    "UPDATE pg_index SET indisvalid = false"
                    " WHERE indexrelid = to_regclass('products_search_next')"
                )
                assert cursor.rowcount == 1
                cursor.execute("UPDATE alembic_version SET version_num = '0010'")
                cursor.execute("DROP FUNCTION fitting_products")
            migrations.upgrade(REPOSITORY / "microservices" / "catalog", dsn)
            with connection.cursor() as cursor:
                cursor.execute("SELECT count(*) FROM pg_index WHERE NOT indisvalid")
                assert cursor.fetchone() == (0,)
    finally:
        server.stop()
