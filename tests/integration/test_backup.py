"""A backup of the running stack opens as another one (promise 46), and a damaged one does not."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
import pytest

from local import backup_files
from local.audit import audit
from local.backup import DATABASES, backup, restore
from local.errors import StackError
from local.progress import Silent
from local.settings import Settings
from local.stack import Stack
from local.web import free_ports
from tests.conftest import HOME, SERVICE_SETTINGS
from tests.shop import Shop

# Those whose rows stay as they are when the restored shop opens.
LASTING = {
    "catalog": ("categories", "products", "stock_movements", "reservations"),
    "orders": ("orders", "payments", "simulated_charges", "saga_log"),
}


@pytest.fixture(scope="module")
def kept(stack: Stack, shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of the running stack, in which something was bought."""
    product = shop.new_product(stock=5)
    shop.buy(shop.new_user(), (product["id"], 2))
    return backup(stack, tmp_path_factory.mktemp("backups"), Silent())


@pytest.fixture
def elsewhere() -> Iterator[Stack]:
    """A stack with other secrets, stopped and empty."""
    home = HOME.with_name(f"{HOME.name}-restored")
    shutil.rmtree(home, ignore_errors=True)
    made = Stack(Settings(feira_home=home, service_environment=SERVICE_SETTINGS, **free_ports()))
    try:
        yield made
    finally:
        made.down()
        shutil.rmtree(home, ignore_errors=True)


def rows(stack: Stack) -> dict[str, set[str]]:
    """Every row of the lasting tables, as text."""
    found = {}
    for database in DATABASES:
        dsn = stack.dsn("auditor", database)
        with closing(psycopg2.connect(dsn, target_session_attrs="primary")) as connection:
            for table in LASTING[database]:
                with connection.cursor() as cursor:
                    cursor.execute(f"SELECT each::text FROM {table} AS each")
                    found[f"{database}.{table}"] = {row[0] for row in cursor.fetchall()}
    return found


@pytest.mark.timeout(240)
def test_a_backup_opens_elsewhere_with_other_secrets(
    stack: Stack, kept: Path, elsewhere: Stack
) -> None:
    before = rows(stack)
    restore(elsewhere.settings, elsewhere.cluster, kept, force=False)
    elsewhere.up()
    after = rows(elsewhere)
    assert {name: lost for name in before if (lost := before[name] - after[name])} == {}
    assert all(before.values())
    assert elsewhere.secrets.catalog_password != stack.secrets.catalog_password
    # A timeline of its own: nobody can take this cluster's log for the other's.
    assert elsewhere.cluster.query("SELECT timeline_id FROM pg_control_checkpoint()") == [(2,)]
    said: list[str] = []
    status = audit(
        elsewhere.dsn("auditor", "catalog"), elsewhere.dsn("auditor", "orders"), say=said.append
    )
    assert status == 0, said


def test_data_that_is_there_is_not_overwritten_by_accident(kept: Path, elsewhere: Stack) -> None:
    mark = elsewhere.settings.data / "mark"
    mark.write_text("mine")
    with pytest.raises(StackError, match="FORCE=1"):
        restore(elsewhere.settings, elsewhere.cluster, kept, force=False)
    assert mark.read_text() == "mine"


def flip(file: Path) -> None:
    """Change one byte in the middle of a file."""
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def cut(file: Path) -> None:
    """Lose the second half of a file."""
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


@pytest.mark.parametrize("damage", [flip, cut, Path.unlink])
@pytest.mark.parametrize("name", ["feira.tar.gz", "redis-carts.tar.gz"])
def test_a_damaged_backup_is_refused_before_anything_is_deleted(
    kept: Path, elsewhere: Stack, tmp_path: Path, name: str, damage: Any
) -> None:
    copy = shutil.copytree(kept, tmp_path / "copy")
    damage(copy / name)
    mark = elsewhere.settings.data / "mark"
    mark.write_text("mine")
    with pytest.raises(StackError, match=name):
        restore(elsewhere.settings, elsewhere.cluster, copy, force=True)
    assert mark.read_text() == "mine"


@pytest.mark.parametrize("damage", [flip, cut])
def test_a_damaged_copy_is_found_by_its_own_manifest(
    kept: Path, tmp_path: Path, damage: Any
) -> None:
    copy = tmp_path / "feira.tar.gz"
    shutil.copy(kept / "feira.tar.gz", copy)
    damage(copy)
    with pytest.raises(StackError, match=r"feira\.tar\.gz"):
        backup_files.prove_base_backup(copy)


def test_the_manifest_says_what_is_in_a_backup(kept: Path) -> None:
    manifest = json.loads((kept / "manifest.json").read_text("utf-8"))
    assert manifest["files"].keys() == {
        "feira.tar.gz",
        "redis-carts.tar.gz",
        "redis-streams.tar.gz",
    }
    assert manifest["databases"]["orders"]["cursors"].keys() == {"bus"}
    assert {path.stat().st_mode & 0o777 for path in kept.iterdir()} == {0o600}
    assert not list(kept.parent.glob("*.partial"))


def test_a_backup_of_the_containers_is_not_taken_for_one_of_this_stack(
    kept: Path, tmp_path: Path
) -> None:
    copy = shutil.copytree(kept, tmp_path / "copy")
    manifest = copy / "manifest.json"
    manifest.write_text(manifest.read_text("utf-8").replace('"embedded"', '"compose"'))
    with pytest.raises(StackError, match="compose"):
        backup_files.read(copy, "embedded")
