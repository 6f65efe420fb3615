"""`make controls`: with a guard taken out, its test must fail.

Each control is a copy of this clone in which a few words of one guard are replaced; the test that
is said to hold the guard is run there, and is expected to fail. The clone itself is not touched.
What is replaced must be there exactly once (`tests/unit/test_controls.py` sees to it).
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from xml.etree import ElementTree

from rich.console import Console
from rich.markup import escape

REPOSITORY = Path(__file__).parent.parent
REPORTS = REPOSITORY / "reports"
LEFT_OUT = shutil.ignore_patterns(".git", ".venv", ".feira*", "reports", "__pycache__", ".*_cache")
# A test that only did not end has noticed nothing.
TIMEOUT_SECONDS = 600
STOCK = "microservices/catalog/migrations/sql/stock_functions_0001.sql"
RESERVE = "microservices/catalog/migrations/sql/stock_functions_0008.sql"
TABLES = "microservices/catalog/migrations/sql/tables_0001.sql"
CHECKOUT = "microservices/orders/migrations/sql/async_orders_0003.sql"
ORDERS_TABLES = "microservices/orders/migrations/sql/tables_0001.sql"


@dataclass(frozen=True)
class Change:
    """A replacement in one file; `old` is there once."""

    path: str
    old: str
    new: str


@dataclass(frozen=True)
class Control:
    """A guard to be taken out, and the test that must notice."""

    name: str
    promise: int
    guard: str
    test: str
    changes: tuple[Change, ...]


LOCKED_IN_ORDER = (
    "OVER (ORDER BY l.product_id) AS n\n"
    "        FROM jsonb_to_recordset(priced) AS l (product_id bigint, quantity bigint)\n"
    "        ORDER BY l.product_id"
)
NO_LOOK_UNDER_LOCK = Change(RESERVE, " AND available >= line.quantity\n", "\n")
NO_CHECK = Change(TABLES, " CONSTRAINT stock_not_negative CHECK (available >= 0)", "")
NO_CLAIM = Change(
    CHECKOUT,
    "ON CONFLICT (user_id, route, key) DO NOTHING;\n        EXIT WHEN FOUND;",
    "ON CONFLICT (user_id, route, key) DO NOTHING;\n        EXIT;",
)

CONTROLS = (
    Control(
        "row-lock",
        1,
        "the look at the stock once its row is locked",
        "tests/race/test_oversell.py::"
        "test_the_last_units_are_sold_once_however_many_reach_for_them",
        (NO_LOOK_UNDER_LOCK,),
    ),
    Control(
        "row-lock-and-check",
        1,
        "that look and the CHECK behind it",
        "tests/race/test_oversell.py::"
        "test_the_last_units_are_sold_once_however_many_reach_for_them",
        (NO_LOOK_UNDER_LOCK, NO_CHECK),
    ),
    Control(
        "lock-order",
        2,
        "the order in which rows are locked",
        "tests/race/test_oversell.py::"
        "test_orders_of_the_same_products_in_any_order_do_not_deadlock",
        (
            Change(
                RESERVE,
                LOCKED_IN_ORDER,
                LOCKED_IN_ORDER.replace(
                    "        ORDER BY l.product_id", "        ORDER BY random()"
                ),
            ),
        ),
    ),
    Control(
        "recovery",
        3,
        "the recovery of unfinished checkouts",
        "tests/outage/test_silent_payment.py",
        (
            Change(
                "microservices/orders/recovery.py",
                "ports.database.write(lambda session: _claim(ports, session, limit, steps))",
                "list[tuple[Order, int]]()",
            ),
        ),
    ),
    Control(
        "tombstone",
        4,
        "the tombstone of a release that overtakes its reservation",
        "tests/race/test_reservation_model.py",
        (
            Change(
                STOCK,
                "    INSERT INTO reservations (id, branch, state, lines, created_at, expires_at,"
                " settled_at)\n"
                "    VALUES (reservation, of_branch, 'released', '[]', at_time, at_time, at_time)\n"
                "    ON CONFLICT (id) DO NOTHING;\n"
                "    IF FOUND THEN",
                "    IF NOT EXISTS (SELECT FROM reservations WHERE id = reservation) THEN",
            ),
        ),
    ),
    Control(
        "stored-answer",
        6,
        "the answer that a key stands for",
        "tests/race/test_idempotency.py::test_a_retried_key_has_one_effect_and_one_answer",
        (
            Change(
                CHECKOUT,
                "UPDATE idempotency_keys SET status = (answer ->> 'status')::bigint,"
                " body = answer ->> 'body'\n        WHERE order_id = of_order AND status IS NULL;",
                "DELETE FROM idempotency_keys WHERE order_id = of_order;",
            ),
        ),
    ),
    Control(
        "claim",
        7,
        "the claim of a key",
        "tests/race/test_idempotency.py::test_the_same_key_at_once_makes_one_order",
        (NO_CLAIM,),
    ),
    Control(
        "claim-and-cart",
        7,
        "the claim of a key, and one order for each state of a cart",
        "tests/race/test_idempotency.py::test_the_same_key_at_once_makes_one_order",
        (
            NO_CLAIM,
            Change(ORDERS_TABLES, "CREATE UNIQUE INDEX orders_once", "CREATE INDEX orders_once"),
            Change(
                CHECKOUT,
                "    ON CONFLICT (cart_id, cart_version)"
                " WHERE status NOT IN ('failed', 'cancelled') DO NOTHING;",
                "    ;",
            ),
        ),
    ),
    Control(
        "body-hash",
        8,
        "the comparison of bodies",
        "tests/race/test_idempotency.py::test_a_key_with_another_body_is_refused",
        (
            Change(
                "microservices/orders/wishes.py",
                'if known["body_hash"] != wish.body_hash:',
                "if False:",
            ),
        ),
    ),
    Control(
        "key-of-user",
        9,
        "the user in what a key is looked up by",
        "tests/race/test_idempotency.py::test_a_key_belongs_to_its_user",
        (
            Change(
                "microservices/orders/wishes.py",
                "                IdempotencyKey.user_id == wish.user_id,\n"
                "                IdempotencyKey.route == ROUTE,\n"
                "                IdempotencyKey.key == wish.key,\n"
                "            )\n        ).one_or_none()",
                "                IdempotencyKey.route == ROUTE,\n"
                "                IdempotencyKey.key == wish.key,\n"
                "            )\n        ).first()",
            ),
        ),
    ),
    Control(
        "provider-by-order",
        10,
        "asking the provider by the order's id",
        "tests/outage/test_saga_crashes.py::test_orders_may_die_before_and_after_every_row_and_call",
        (
            Change(
                "microservices/orders/payment.py",
                '"order_id": charge.order_id,\n',
                '"order_id": charge.order_id + str(time.time_ns()),\n',
            ),
        ),
    ),
    Control(
        "if-match",
        13,
        "the version in If-Match",
        "tests/race/test_lost_edit.py",
        (
            Change(
                "microservices/catalog/products.py",
                "if product.version != version:",
                "if False:",
            ),
        ),
    ),
    Control(
        "one-script",
        25,
        "adding to a cart in one step: the sum is made of what was read before",
        "tests/race/test_cart_at_once.py",
        (
            Change(
                "microservices/cart/store.py",
                "if how == 'add' then wanted = wanted + tonumber(kept) end",
                "if how == 'add' then\n"
                "  local before = redis.call('GET', 'before' .. cart)\n"
                "  redis.call('SET', 'before' .. cart, kept)\n"
                "  wanted = wanted + tonumber(before or kept)\n"
                "end",
            ),
        ),
    ),
    Control(
        "no-eviction",
        26,
        "noeviction in the carts' Redis",
        "tests/outage/test_full_carts.py",
        (Change("local/redis.py", "maxmemory-policy noeviction", "maxmemory-policy allkeys-lru"),),
    ),
    Control(
        "hashing-turns",
        30,
        "the bound on passwords that are checked at once",
        "tests/outage/test_flood.py::test_a_flood_of_logins_does_not_slow_the_catalogue",
        (Change("microservices/orders/passwords.py", "\nAT_ONCE = 2\n", "\nAT_ONCE = 200\n"),),
    ),
    Control(
        "real-address",
        38,
        "limits by the connection's address instead of a header",
        "tests/outage/test_flood.py::test_the_excess_of_one_address_is_refused_and_no_others_is",
        (
            Change(
                "nginx/nginx.conf.template",
                "limit_req_zone $binary_remote_addr zone=every",
                "limit_req_zone $http_x_forwarded_for zone=every",
            ),
        ),
    ),
    Control(
        "debit",
        41,
        "the debit of a transfer's sender",
        "tests/branches/test_promises.py::"
        "test_branches_that_are_cut_off_sell_what_they_have_and_no_more",
        (
            Change(
                "microservices/catalog/transfers.py", "    stock.available -= wanted.quantity\n", ""
            ),
        ),
    ),
    Control(
        "newest",
        42,
        "the comparison of versions of another branch's stock",
        "tests/branches/test_door.py::test_a_repeated_or_older_event_changes_nothing",
        (
            Change(
                "microservices/catalog/replica.py",
                "WHERE stock.replica AND (stock.epoch, stock.version)"
                " < (EXCLUDED.epoch, EXCLUDED.version)",
                "WHERE stock.replica",
            ),
        ),
    ),
    Control(
        "credit-once",
        43,
        "the id that makes a transfer's credit happen once",
        "tests/branches/test_promises.py::test_transfers_move_units_exactly_once_whichever_end_dies",
        (
            Change(
                "microservices/catalog/transfers.py",
                "taken.returning(StockTransfer.id)).one_or_none() is None",
                "taken.returning(StockTransfer.id)).one_or_none() == ()",
            ),
        ),
    ),
    Control(
        "own-voice",
        44,
        "that a branch speaks for itself only",
        "tests/branches/test_door.py::test_a_forged_event_is_refused_and_has_no_effect",
        (
            Change(
                "microservices/chassis/replication/door.py",
                "if incoming.branch != peer:",
                "if not peer:",
            ),
        ),
    ),
)


@dataclass(frozen=True)
class Outcome:
    """What became of the test without its guard."""

    control: Control
    noticed: bool
    said: str
    seconds: float


def prepare(control: Control, folder: Path) -> None:
    """Copy the clone and take the guard out of the copy."""
    shutil.copytree(REPOSITORY, folder, ignore=LEFT_OUT, symlinks=True, dirs_exist_ok=True)
    for change in control.changes:
        path = folder / change.path
        text = path.read_text("utf-8")
        assert text.count(change.old) == 1, f"{control.name}: {change.path} has changed"
        path.write_text(text.replace(change.old, change.new), "utf-8")


def run(control: Control, folder: Path) -> Outcome:
    """Run the guard's test on a copy without it, made in this folder."""
    began = time.monotonic()
    prepare(control, folder)
    report = folder / "controls.xml"
    options = ["-x", "-q", "--timeout", str(TIMEOUT_SECONDS), f"--junitxml={report}"]
    command = [sys.executable, "-m", "pytest", *options, control.test]
    done = subprocess.run(
        command,
        cwd=folder,
        check=False,
        capture_output=True,
        text=True,
        env={name: value for name, value in os.environ.items() if name != "FEIRA_FULL"},
    )
    (REPORTS / f"control-{control.name}.log").write_text(done.stdout + done.stderr, "utf-8")
    failures = ElementTree.parse(report).findall(".//failure") if report.exists() else []
    said = failures[0].get("message", "").strip().splitlines()[0] if failures else "passed"
    if done.returncode not in (0, 1) or (done.returncode and not failures):
        said = "could not be run; see its log in reports/"
    noticed = bool(failures) and not said.startswith("Failed: Timeout")
    return Outcome(control, noticed, said, time.monotonic() - began)


def table(outcomes: list[Outcome]) -> str:
    """The outcomes as Markdown."""
    rows = ["| promise | guard taken out | the test | s | what it said |", "|---|---|---|---|---|"]
    rows += [
        f"| {each.control.promise} | {each.control.guard}"
        f" | {'fails' if each.noticed else 'DID NOT NOTICE'} | {each.seconds:.0f}"
        f" | `{each.said[:110].replace('|', '/')}` |"
        for each in outcomes
    ]
    return "\n".join(rows)


def main() -> int:
    """Run the controls that are named, or all; 0 if every one was noticed."""
    parser = argparse.ArgumentParser(prog="python -m tests.controls", description=__doc__)
    names = [control.name for control in CONTROLS]
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"one of {', '.join(names)}")
    wanted = parser.parse_args().names
    if unknown := sorted(set(wanted) - set(names)):
        parser.error(f"there is no control {unknown[0]}; there are {', '.join(names)}")
    chosen = [control for control in CONTROLS if not wanted or control.name in wanted]
    console = Console(highlight=False, soft_wrap=True)
    REPORTS.mkdir(exist_ok=True)
    outcomes = []
    for number, control in enumerate(chosen, 1):
        with (
            console.status(f"{number} of {len(chosen)}: without {control.guard}"),
            TemporaryDirectory(prefix=".feira-control-", dir=REPOSITORY) as folder,
        ):
            outcome = run(control, Path(folder))
        outcomes.append(outcome)
        word = "[green]noticed[/]" if outcome.noticed else "[red]not noticed[/]"
        console.print(f"{word}  without {control.guard}: {escape(outcome.said[:160])}")
    path = REPORTS / f"controls-{datetime.now(UTC):%Y%m%d-%H%M%S}.md"
    path.write_text(f"# Without their guards\n\n{table(outcomes)}\n", "utf-8")
    console.print(f"report: {path.relative_to(REPOSITORY)}")
    return 0 if all(outcome.noticed for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
