"""The next version replaces this one under load, and this one the next (promise 45)."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker.conftest import LEFT_OUT
from tests.docker.project import Project
from tests.load import load, report
from tests.shop import Shop, wait_until

FULL = os.environ.get("FEIRA_FULL") == "1"
# At full counts 50 orders a second, as far as the machine can, and the way back as well.
SHOPPERS, PAUSE = (50, 0.0) if FULL else (2, 0.25)
REPLACED = ("catalog", "cart", "orders", "orders-worker", "catalog-background", "orders-background")
NEXT = {
    "catalog": """
    op.execute("ALTER TABLE products ADD COLUMN brand text")
    with op.get_context().autocommit_block():
        op.execute("CREATE INDEX CONCURRENTLY IF NOT EXISTS products_by_brand ON products (brand)")
""",
    "orders": """
    op.execute("ALTER TABLE orders ADD COLUMN note text")
""",
}


@pytest.fixture
def successor(stack: Project, tmp_path: Path) -> Iterator[Project]:
    """The next version: a migration more of each database, and another image of each service."""
    folder = tmp_path / "next"
    shutil.copytree(stack.folder, folder, ignore=LEFT_OUT)
    shutil.copy(stack.folder / ".env", folder / ".env")
    for service, change in NEXT.items():
        versions = folder / "microservices" / service / "migrations" / "versions"
        (number,) = (path.name[:4] for path in sorted(versions.glob("*.py"))[-1:])
        text = f'''"""Sample."""

from alembic import op

revision = "{int(number) + 1:04}"
down_revision = "{number}"


def upgrade() -> None:{change}

def downgrade() -> None:
    raise NotImplementedError
'''
        (versions / f"{int(number) + 1:04}_sample.py").write_text(text, "utf-8")
    (folder / "microservices/cart/next.py").write_text('"""Another image."""\n', "utf-8")
    made = Project(folder, dict.fromkeys(("port", "tls_port", "supervisor_port"), 0))
    made.environment = stack.environment
    yield made


def images(stack: Project) -> dict[str, set[str]]:
    """The images that the containers of each replaced service run."""
    found = {}
    for service in REPLACED:
        ids = stack.compose("ps", "--quiet", service).split()
        found[service] = {each["Image"] for each in json.loads(stack.docker("inspect", *ids))}
    return found


@pytest.mark.promise(45)
@pytest.mark.timeout(900)
def test_an_upgrade_fails_no_request(stack: Project, successor: Project, shop: Shop) -> None:
    this = images(stack)
    stateful = {name: stack.inspect()[name]["Id"] for name in ("gateway", "catalog-db-1", "etcd")}
    with load(shop, SHOPPERS, PAUSE) as log:
        wait_until(lambda: len(log.orders) >= SHOPPERS, 60)
        successor.make("upgrade")
        there = images(stack)
        if FULL:
            assert "schema_is_newer" in stack.make("upgrade")
            assert images(stack) == this
    report(
        f"there{' and back' * FULL}: {len(log.answers)} requests, {len(log.orders)} orders, "
        f"{len(log.complaints)} without a usable answer"
    )
    assert log.complaints == []
    assert all(len(each) == 1 for each in there.values())
    assert all(there[service] != this[service] for service in REPLACED)
    assert {name: stack.inspect()[name]["Id"] for name in stateful} == stateful
    assert "audit: all hold" in (stack if FULL else successor).make("audit", "ON=compose")
