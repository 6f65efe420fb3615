"""The real stack, started once for all tests that need it, and a client's view of it."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from local.settings import Settings
from local.stack import Stack
from local.web import free_ports
from tests.figures import INDENT
from tests.shop import Account, Shop

# Under the clone, so that nothing is left outside it whatever happens to the tests; one for each
# of the processes that pytest-xdist shares the tests out to.
HOME = Path(__file__).parent.parent / f".feira-test{os.environ.get('PYTEST_XDIST_WORKER', '')}"

SERVICE_SETTINGS = {
    "BCRYPT_ROUNDS": "4",
    "RECOVERY_SECONDS": "0.3",
    "SWEEP_SECONDS": "0.5",
    "PAYMENT_TIMEOUT_SECONDS": "0.2",
    "CHECKOUT_DEADLINE_SECONDS": "3",
    "LOGIN_FAILURES_PER_ADDRESS": "100000",
}
if os.environ.get("FEIRA_FULL") == "1":
    # An hour of `make race` is longer than the usual life of an access token.
    SERVICE_SETTINGS["ACCESS_TOKEN_SECONDS"] = "86400"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Show the figures of all tests: those that pytest-xdist runs elsewhere have no screen."""
    passed = terminalreporter.stats.get("passed", [])
    told = {
        report.nodeid: [line for line in report.capstdout.splitlines() if line.startswith(INDENT)]
        for report in passed
    }
    if any(told.values()):
        terminalreporter.section("figures")
    for test, lines in told.items():
        if lines:
            terminalreporter.write_line("\n".join([test, *lines]))


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Every process of the embedded stack, on free ports, in a home of its own."""
    shutil.rmtree(HOME, ignore_errors=True)
    settings = Settings(
        feira_home=HOME,
        rate_per_second=100_000,
        rate_burst=100_000,
        login_rate_per_minute=100_000,
        login_burst=10_000,
        account_rate_per_minute=100_000,
        account_burst=10_000,
        connections_per_address=4096,
        checkouts_at_once=4096,
        service_environment=SERVICE_SETTINGS,
        **free_ports(),
    )
    running = Stack(settings)
    try:
        running.up()
        yield running
    finally:
        running.down()
        if not os.environ.get("KEEP_TEST_HOME"):
            shutil.rmtree(HOME, ignore_errors=True)


@pytest.fixture(scope="session")
def http(stack: Stack) -> Iterator[httpx.Client]:
    """A client on the gateway, without an account."""
    limits = httpx.Limits(max_connections=512, max_keepalive_connections=512)
    with httpx.Client(base_url=stack.url, timeout=30, limits=limits, trust_env=False) as client:
        yield client


@pytest.fixture(scope="session")
def shop(stack: Stack, http: httpx.Client) -> Shop:
    """What a shopper and an operator do, through the gateway."""
    return Shop(stack, http)


@pytest.fixture(scope="session")
def admin(shop: Shop) -> Account:
    """The first admin, logged in."""
    return shop.login(shop.stack.settings.admin_email, shop.stack.secrets.admin_password)


@pytest.fixture(scope="session")
def operator(shop: Shop) -> Account:
    """The demo operator, logged in."""
    return shop.login("operador@feira.local", shop.stack.secrets.demo_password)


@pytest.fixture
def new_user(shop: Shop) -> Callable[[], Account]:
    """Makes a customer with a fresh address, logged in."""
    return shop.new_user


@pytest.fixture
def customer(shop: Shop) -> Account:
    """A customer of this test's own."""
    return shop.new_user()
