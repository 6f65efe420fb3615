"""Hold a flash sale on a stack of its own: what `make flash-sale` runs."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from types import FrameType
from typing import NoReturn

from loadtests.bench.results import machine
from loadtests.flash_sale import hot_row, sale
from loadtests.flash_sale.hot_row import BAR, HotRow
from loadtests.flash_sale.outcome import Outcome
from loadtests.own_stack import own_stack
from local.audit import audit
from local.errors import StackError
from local.progress import Progress
from local.report import show_failure
from local.settings import REPOSITORY
from local.stack import Stack

REPORTS = REPOSITORY / "reports"
SHOPPERS, UNITS = 5000, 1000
CLIENTS, SECONDS = 16, 3.0
# One address is all of the crowd; their accounts are made before, and what that costs is not
# what is measured.
SETTINGS = {
    "connections_per_address": 16_000,
    "service_environment": {"BCRYPT_ROUNDS": "4", "ACCESS_TOKEN_SECONDS": "7200"},
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Hold the sale, measure the row: 0 if everything held, else 1."""
    options = _parse(arguments)
    progress = Progress()
    signal.signal(signal.SIGTERM, _interrupted)
    try:
        with own_stack("flash-sale", progress, **SETTINGS) as stack:
            return _measure(stack, options, progress)
    except StackError as error:
        show_failure(progress.console, error)
        return 1
    except KeyboardInterrupt:
        return 130


def _measure(stack: Stack, options: argparse.Namespace, progress: Progress) -> int:
    url = f"http://127.0.0.1:{stack.settings.port}"
    admin = (stack.settings.admin_email, stack.secrets.admin_password)
    outcome = sale.hold(url, admin, options.shoppers, options.units, progress.say_plain)
    books = audit(stack.dsn("auditor", "catalog"), stack.dsn("auditor", "orders"), say=_quiet) == 0
    for line in told(outcome):
        progress.say_plain(line)
    progress.say_plain("the audit holds" if books else "FAILED: the audit")
    row = hot_row.measure(stack, CLIENTS, SECONDS, progress.say_plain)
    for line in row_told(row):
        progress.say_plain(line)
    now = datetime.now(UTC)
    REPORTS.mkdir(exist_ok=True)
    path = REPORTS / f"flash-sale-{now:%Y%m%d-%H%M%S}.json"
    document = {"machine": machine(), "sale": outcome.document(), "hot_row": row.document()}
    path.write_text(json.dumps(document, indent=1), "utf-8")
    progress.say_plain(f"Written: {path}")
    return 0 if all(outcome.checks.values()) and books and row.met else 1


def told(outcome: Outcome) -> list[str]:
    """The sale in lines."""
    answers = ", ".join(f"{status or 'none'} x {n}" for status, n in outcome.answers.items())
    lines = [
        f"{outcome.confirmed} of {outcome.units} units sold to {outcome.shoppers} shoppers in"
        f" {outcome.sold_out:.1f} s ({outcome.per_second:.0f}/s); {outcome.sold_out_told} were told"
        f" that none is left; the last word after {outcome.all_told:.1f} s",
        f"answers: {answers}; 201 and 409: p50 {outcome.p50_ms:.0f} ms,"
        f" p99 {outcome.p99_ms:.0f} ms, most {outcome.most_ms:.0f} ms; 429:"
        f" p50 {outcome.again_p50_ms:.0f} ms, p99 {outcome.again_p99_ms:.0f} ms",
        f"99 of 100 had a first answer after {outcome.first_told:.1f} s",
        f"fairness (1: a queue, 0: a lottery): {outcome.fairness:.2f} of all,"
        f" {outcome.fairness_of_buyers:.2f} among buyers",
    ]
    return lines + [
        f"{'holds' if good else 'FAILED'}: {text}" for text, good in outcome.checks.items()
    ]


def row_told(row: HotRow) -> list[str]:
    """The row in lines."""
    commits = ", ".join(f"{how} {ms:.2f} ms" for how, ms in row.commit_ms.items())
    return [
        f"one row, {row.clients} connections: {row.update:.0f}/s plain updates, {row.ideal:.0f}/s"
        f" ideal purchases, {row.reserve:.0f}/s reservations",
        f"one reservation alone: statement {row.function_ms:.2f} ms; commit {commits}",
        f"{'met' if row.met else 'MISSED'}: reservations are {row.ratio:.2f} x the ideal purchase"
        f" (bar: >= {BAR:g} x)",
    ]


def _quiet(line: str) -> None:
    """Nothing: what the audit says in good times is of no interest here."""


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make flash-sale", description=__doc__)
    parser.add_argument("--shoppers", type=int, default=SHOPPERS)
    parser.add_argument("--units", type=int, default=UNITS)
    options = parser.parse_args(arguments)
    if not 1 <= options.units <= options.shoppers <= 15_000:
        parser.error("--units is at least 1, --shoppers at least as many and 15000 at most")
    return options


def _interrupted(number: int, frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
