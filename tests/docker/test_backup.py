"""A backup that was taken under load restores into an empty system (promise 46)."""

from __future__ import annotations

import json
import os
import re
import shutil
import time
from pathlib import Path

import pytest

from tests.docker.project import Project
from tests.load import load, report
from tests.shop import Shop, wait_until

FULL = os.environ.get("FEIRA_FULL") == "1"
SHOPPERS = 3
DATABASES = {"catalog": "catalog-db-1", "orders": "orders-db-1"}
# A sum over all rows of each table, whatever their order in it. The relay's cursors are set back by
# a restore, and what it has not sent yet is sent then.
CHECKSUMS = """
SELECT c.relname, (xpath('/row/sum/text()', query_to_xml(format($$
    SELECT count(*) || ':' || coalesce(md5(string_agg(md5(r::text), '' ORDER BY r::text)), '')
        AS sum FROM %I AS r $$, c.relname), false, true, '')))[1]
FROM pg_class c WHERE c.relkind = 'r' AND c.relnamespace = 'public'::regnamespace
    AND c.relname <> 'outbox_cursors' ORDER BY 1
"""
PSQL = 'PGPASSWORD=$POSTGRES_PASSWORD psql -XAt -F" " -h /run/postgresql -U postgres'


def checksums(stack: Project) -> dict[str, str]:
    """`database.table` to the number of its rows and a sum of them."""
    found = {}
    for database, node in DATABASES.items():
        command = ("exec", "-T", node, "sh", "-c", f'{PSQL} -c "$0" {database}', CHECKSUMS)
        for line in stack.compose(*command).splitlines():
            table, _, total = line.partition(" ")
            found[f"{database}.{table}"] = total
    return found


def backups(stack: Project) -> list[Path]:
    return sorted((stack.folder / "backups").glob("*Z"))


@pytest.mark.skipif(not FULL, reason="make test does it without containers: FEIRA_FULL=1")
@pytest.mark.promise(46)
@pytest.mark.timeout(900)
def test_a_backup_of_a_busy_shop_restores_into_an_empty_system(stack: Project, shop: Shop) -> None:
    with load(shop, SHOPPERS, 0.1) as log:
        wait_until(lambda: len(log.orders) >= 5, 60)
        stack.make("backup", "ON=compose")
        wait_until(lambda: len(log.orders) >= 10, 60)
    (busy,) = backups(stack)
    before = [(user, order) for at, user, order in log.orders]
    stack.make("down", "VOLUMES=1")
    began = time.monotonic()
    printed = stack.make("restore", "ON=compose", f"FROM={busy}")
    seconds = time.monotonic() - began
    assert "audit: all hold" in printed
    there = sum(
        shop.http.get(f"/api/orders/{order['id']}", headers=user.headers).status_code == 200
        for user, order in before
    )
    given_back = re.search(r"Stock of (\d+) orders that are not in the backup", printed)
    assert given_back
    report(
        f"restored in {seconds:.0f} s; {there} of {len(before)} orders, the others came after the "
        f"copy; the stock of {given_back[1]} of them was given back"
    )
    assert 0 < there < len(before)
    assert seconds <= 900
    shutil.rmtree(busy)


@pytest.mark.promise(46)
@pytest.mark.timeout(900)
def test_every_row_of_a_quiet_shop_is_restored(stack: Project, shop: Shop) -> None:
    product = shop.new_product(stock=5)
    order = shop.buy(shop.new_user(), (product["id"], 2))
    wait_until(lambda: settled(stack, order["id"]), 30)
    stack.compose("stop", "gateway", "catalog-background", "cart-background", "orders-background")
    before = checksums(stack)
    stack.make("backup", "ON=compose")
    (quiet,) = backups(stack)
    # Over what is there, and with nobody let in, who could change a row.
    refused = stack.attempt("make", "restore", "ON=compose", f"FROM={quiet}")
    assert refused.returncode != 0 and "FORCE=1" in refused.stdout
    stack.make("restore", "ON=compose", f"FROM={quiet}", "FORCE=1", "CLOSED=1")
    after = checksums(stack)
    assert int(before["orders.orders"].partition(":")[0]) > 0
    assert after == before
    manifest = json.loads((quiet / "manifest.json").read_text("utf-8"))
    assert manifest["clusters"]["orders"]["at"] <= manifest["clusters"]["catalog"]["at"]
    values = set(stack.values.values())
    assert not [name for name in quiet.iterdir() if b"PASSWORD" in name.read_bytes()[:4096]]
    assert values.isdisjoint(re.findall(r"[\w.~=-]{12,}", (quiet / "manifest.json").read_text()))
    shutil.rmtree(quiet)
    stack.make("up")
    assert shop.stock(product["id"]) == 3


def settled(stack: Project, order_id: str) -> bool:
    """Whether the catalog has recorded the sale."""
    query = f"SELECT state FROM reservations WHERE id = '{order_id}'"
    command = ("exec", "-T", DATABASES["catalog"], "sh", "-c", f'{PSQL} -c "$0" catalog', query)
    return stack.compose(*command).strip() == "committed"
