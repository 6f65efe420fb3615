"""PostgreSQL's disk full: clear refusals while it is, nothing lost, and back when there is space.

Needs a disk of its own that can be filled without harm: a tmpfs for each node, which root may
mount. A stack of its own runs on them, so this is for `make race`.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psycopg2
import pytest

from local.settings import REPOSITORY, Settings
from local.stack import Stack
from local.web import free_ports
from tests.conftest import SERVICE_SETTINGS
from tests.figures import figure
from tests.outage.buyers import buy_during, wait_for_more
from tests.race.rig import FULL, counted, is_problem
from tests.shop import Shop, wait_until

HOME = REPOSITORY / ".feira-disk"
MEGABYTES = 300
FULL_SECONDS = 20
BACK_WITHIN_SECONDS = 60


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of its own on a folder."""
    folder.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={MEGABYTES}m,mode=0700", "feira-disk"]
    done = subprocess.run([*command, str(folder)], check=False, capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"no disk to fill could be made: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def small_stack() -> Iterator[Stack]:
    """A stack whose PostgreSQL nodes have small disks of their own."""
    shutil.rmtree(HOME, ignore_errors=True)
    settings = Settings(
        feira_home=HOME,
        rate_per_second=100_000,
        rate_burst=100_000,
        service_environment=SERVICE_SETTINGS,
        **free_ports(),
    )
    folders = [settings.data / f"postgres-{number}" for number in (1, 2)]
    stack = Stack(settings)
    try:
        with small_disk(folders[0]), small_disk(folders[1]):
            try:
                stack.up()
                yield stack
            finally:
                stack.down()
    finally:
        if not os.environ.get("KEEP_TEST_HOME"):
            shutil.rmtree(HOME, ignore_errors=True)


def fill(folder: Path) -> Path:
    """Leave no room in a folder's file system; the file that takes it."""
    ballast = folder / "ballast"
    with ballast.open("wb", buffering=0) as file:
        for size in (1 << 20, 4096):
            with suppress(OSError):
                while file.write(bytes(size)) == size:
                    pass
    return ballast


def use_up_the_log(stack: Stack) -> None:
    """Write until PostgreSQL has used up the segments of its log that it had in reserve."""
    with suppress(psycopg2.Error), suppress(OSError):
        for _ in range(100):
            stack.cluster.query("SELECT pg_switch_wal()")
            stack.cluster.query("CREATE TABLE filler AS SELECT generate_series(1, 1000)")
            stack.cluster.query("DROP TABLE filler")


@pytest.mark.skipif(not FULL, reason="the full disk has a stack of its own: make race")
@pytest.mark.parametrize("disks", [1, 2], ids=["of the primary", "of both nodes"])
def test_a_full_disk_refuses_clearly_and_heals(small_stack: Stack, disks: int) -> None:
    stack = small_stack
    writes: list[httpx.Response] = []
    times: dict[str, float] = {}
    with httpx.Client(base_url=stack.url, timeout=20, trust_env=False) as http:
        shop = Shop(stack, http)

        def outage(orders: Callable[[], int]) -> None:
            wait_for_more(orders)
            primary = stack.cluster.primary()
            nodes = sorted(stack.cluster.nodes, key=lambda name: name != primary)[:disks]
            ballasts = [fill(stack.settings.data / name) for name in nodes]
            try:
                use_up_the_log(stack)
                began = time.monotonic()
                if disks == 1:
                    wait_for_more(orders, BACK_WITHIN_SECONDS)
                    times["writes back on the other node"] = time.monotonic() - began
                while disks == 2 and time.monotonic() < began + FULL_SECONDS:
                    body = {"sku": f"DISCO-{len(writes)}", "category_id": 1, "price_cents": 100}
                    body["name"] = "Disco cheio"
                    writes.append(http.post("/api/products", json=body, headers=headers))
                    time.sleep(0.5)
            finally:
                for ballast in ballasts:
                    ballast.unlink()
            freed = time.monotonic()
            wait_for_more(orders, BACK_WITHIN_SECONDS)
            times["back after there was space"] = time.monotonic() - freed

        headers = shop.operator.headers
        told = buy_during(stack, shop, outage, patience=FULL_SECONDS + BACK_WITHIN_SECONDS)
        wait_until(
            lambda: (
                sorted(map(stack.cluster.role, stack.cluster.nodes)) == ["primary", "sync standby"]
            ),
            BACK_WITHIN_SECONDS,
        )
    statuses = counted(answer.status_code for answer in writes)
    rounded = {name: f"{seconds:.1f} s" for name, seconds in times.items()}
    where = "of the primary" if disks == 1 else "of both nodes"
    figure(f"disk full {where}", f"shoppers {counted(told)}; operator {statuses}; {rounded}")
    refused = [answer for answer in writes if not answer.is_success]
    assert bool(refused) == (disks == 2)
    assert {answer.status_code for answer in refused} <= {503, 504}
    assert all(is_problem(answer) and "Retry-After" in answer.headers for answer in refused)
