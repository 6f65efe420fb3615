"""The storefront in a real browser: the machine's Chromium, on the embedded stack.

A page that breaks its own content policy, or whose scripts fail, fails the test that showed it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import pytest

from local.stack import Stack
from tests.browser.filial import NAME, Filial
from tests.conftest import SERVICE_SETTINGS, running_stack

if TYPE_CHECKING:
    from playwright.sync_api import Browser

    from tests.browser.visitor import Visitor

# They need a browser: `make test` leaves them out.
collect_ignore_glob = [] if os.environ.get("FEIRA_BROWSER") else ["test_*.py"]
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium") or "/usr/bin/chromium"


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """Chromium; as root it has no sandbox, which its own pages do not need."""
    from playwright.sync_api import sync_playwright

    sandbox = [] if os.getuid() else ["--no-sandbox"]
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=sandbox)
        yield opened
        opened.close()


@pytest.fixture(scope="session")
def filial() -> Iterator[Filial]:
    """The other branch that the shop knows."""
    played = Filial()
    yield played
    played.close()


@pytest.fixture(scope="session")
def stack(filial: Filial) -> Iterator[Stack]:
    """A shop with one other branch."""
    with running_stack(
        peers=f"{NAME}={filial.url}",
        replica_tokens=f"{NAME}={filial.token}",
        service_environment=SERVICE_SETTINGS | {"REPLICATION_RETRY_SECONDS": "0.3"},
    ) as running:
        yield running


@pytest.fixture
def visit(stack: Stack, browser: Browser) -> Iterator[Callable[..., Visitor]]:
    """Opens the shop for somebody with a browser profile of their own."""
    from tests.browser.visitor import Visitor

    visitors: list[Visitor] = []

    def arrive(**options: object) -> Visitor:
        visitors.append(Visitor(browser, stack.url, **options))
        return visitors[-1]

    yield arrive
    complaints = [complaint for visitor in visitors for complaint in visitor.complaints()]
    for visitor in visitors:
        visitor.leave()
    assert complaints == []


@pytest.fixture
def visitor(visit: Callable[..., Visitor]) -> Visitor:
    """Somebody in the shop."""
    return visit()
