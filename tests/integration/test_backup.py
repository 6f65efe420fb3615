"""A backup of the running stack opens as another one (promise 46), and a damaged one does not."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import psycopg2
import pytest

from local import backup_files, reconcile
from local.audit import audit
from local.backup import DATABASES, backup, restore
from local.errors import StackError
from local.progress import Silent
from local.settings import Settings
from local.stack import Stack
from local.web import free_ports
from tests.conftest import HOME, SERVICE_SETTINGS
from tests.race.rig import ledgers
from tests.shop import Shop, wait_until

# Those whose rows stay as they are when the restored shop opens.
LASTING = {
    "catalog": ("categories", "products", "stock_movements", "reservations"),
    "orders": ("orders", "payments", "simulated_charges", "saga_log"),
}


@pytest.fixture(scope="module")
def kept(stack: Stack, shop: Shop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A backup of the running stack, in which something was bought."""
    product = shop.new_product(stock=5)["id"]
    shop.buy(shop.new_user(), (product, 2))
    # By the order's event, a moment later: the rows are compared with those of then.
    wait_until(lambda: ledgers(stack, [product])[product].sold == 2)
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


@pytest.mark.promise(46)
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
    assert audited(elsewhere)[0] == 0
    make_one_again(elsewhere)


def forget(stack: Stack, order_id: str) -> None:
    """Have orders not know an order, as if its copy had ended before it."""
    tables = ("saga_log", "idempotency_keys", "payments", "simulated_charges", "orders")
    with closing(psycopg2.connect(stack.dsn("orders_owner", "orders"))) as connection, connection:
        for table in tables:
            column = "id" if table == "orders" else "order_id"
            with connection.cursor() as cursor:
                cursor.execute(f"DELETE FROM {table} WHERE {column} = %s", [order_id])


def audited(stack: Stack) -> tuple[int, list[str]]:
    """Exit status and report of an audit."""
    said: list[str] = []
    dsns = (stack.dsn("auditor", "catalog"), stack.dsn("auditor", "orders"))
    return audit(*dsns, settle_seconds=2, say=said.append), said


def make_one_again(stack: Stack) -> None:
    """What a restore does about the moments between the copies of catalog and orders."""
    dsns = (stack.dsn("auditor", "catalog"), stack.dsn("auditor", "orders"))
    with httpx.Client(base_url=stack.url, timeout=30, trust_env=False) as http:
        shop = Shop(stack, http)
        product, user = shop.new_product(stock=9)["id"], shop.new_user()
        lost, cancelled, kept = (shop.buy(user, (product, 1))["id"] for _ in range(3))
        settled = f"SELECT count(*) FROM reservations WHERE state = 'committed' AND id = '{lost}'"
        with closing(psycopg2.connect(dsns[0], target_session_attrs="primary")) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                wait_until(lambda: (cursor.execute(settled), cursor.fetchone())[1] == (1,))
        forget(stack, lost)
        url, token = stack.services.url("catalog-1"), stack.secrets.service_token
        reconcile.give_back(url, token, [cancelled])
        status, said = audited(stack)
        assert status == 1 and any(lost in line for line in said)
        assert any(cancelled in line for line in said)
        plan = reconcile.compare(*dsns, since=backup_files.now())
        assert plan == reconcile.Plan(release=[lost], cancel=[cancelled])
        reconcile.give_back(url, token, plan.release)
        stack.command("orders", f"cancel {cancelled}")
        assert audited(stack)[0] == 0
        assert shop.stock(product) == 8
        assert shop.order(user, cancelled)["status"] == "cancelled"
        assert shop.order(user, kept)["status"] == "confirmed"


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


def flip_late(file: Path) -> None:
    """Change one byte near the end, where a copy of a database has its log."""
    content = bytearray(file.read_bytes())
    content[-2000] ^= 1
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


@pytest.mark.parametrize("damage", [flip, flip_late, cut])
def test_a_damaged_copy_is_found_by_its_own_manifest(
    kept: Path, tmp_path: Path, damage: Any
) -> None:
    copy = tmp_path / "feira.tar.gz"
    shutil.copy(kept / "feira.tar.gz", copy)
    damage(copy)
    with pytest.raises(StackError, match=r"feira\.tar\.gz"):
        backup_files.prove_base_backup(copy)


def test_a_damaged_manifest_is_found_by_its_own_sum(kept: Path) -> None:
    with tarfile.open(kept / "feira.tar.gz") as archive:
        content = archive.extractfile("backup_manifest")
        assert content
        text = content.read()
    assert backup_files.read_manifest("feira.tar.gz", text)["WAL-Ranges"]
    for damaged in (text.replace(b'"Size"', b'"Sixe"', 1), text.replace(b"{", b"", 1), text[:-90]):
        with pytest.raises(StackError, match=r"feira\.tar\.gz: its manifest is damaged"):
            backup_files.read_manifest("feira.tar.gz", damaged)


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
