"""What a backup notes of both databases, and what a restore does to make them one again.

The two databases are copied one after the other, orders first, so the restored catalog is the newer
one. It may know of orders that the restored orders does not, or of cancellations that were lost.
The restored orders is what counts: the catalog gives back what was taken for orders that are not
there, and an order whose stock was given back is to be cancelled again.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import psycopg2

from local.errors import StackError
from local.http_call import call

SOLD = ("confirmed", "preparing", "shipped", "delivered")
_CALLS_AT_ONCE = 8
_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True)
class Plan:
    """Ids of orders: whose stock is to be given back, and which are to be cancelled again."""

    release: list[str]
    cancel: list[str]


def position(dsn: str) -> dict[str, Any]:
    """What a restore has to know of one database, as its primary has it now.

    Returns:
        `system`: the identity of the cluster; `revision`: of its schema; `cursors`: sink to the
        transaction below which it has had every event.
    """
    with closing(_connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT system_identifier::text FROM pg_control_system()")
        system = _only(cursor.fetchall())
        cursor.execute("SELECT version_num FROM alembic_version")
        revision = _only(cursor.fetchall())
        cursor.execute("SELECT sink, low::text FROM outbox_cursors")
        return {"system": system, "revision": revision, "cursors": dict(cursor.fetchall())}


def check_identity(dsn: str, noted: dict[str, Any]) -> None:
    """Raises StackError if this is not the database that was backed up."""
    found = position(dsn)["system"]
    if found != noted["system"]:
        raise StackError(f"the database has another identity ({found}) than the backup: it is new")


def rewind(dsn: str, cursors: dict[str, str]) -> None:
    """Have the relay deliver again what the copy of the streams may not have.

    Args:
        dsn: of a role that may change the cursors; no relay may be at work.
        cursors: as `position` noted them before the streams were copied.
    """
    with closing(_connect(dsn)) as connection, connection, connection.cursor() as cursor:
        for sink, low in cursors.items():
            cursor.execute(
                "UPDATE outbox_cursors SET low = least(low, %(low)s::xid8), seq = 0"
                " WHERE sink = %(sink)s",
                {"low": low, "sink": sink},
            )


def close_stock(dsn: str, branch: str) -> None:
    """Have a branch sell nothing until its peers have said what it had done since the backup.

    A backup of a version that knew no other branches has nothing that peers could know of.
    """
    with closing(_connect(dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute("SELECT to_regprocedure('close_stock(text, timestamptz)') IS NOT NULL")
        if _only(cursor.fetchall()) == "True":
            cursor.execute("SELECT close_stock(%s, now())", [branch])


def compare(catalog_dsn: str, orders_dsn: str, since: str) -> Plan:
    """Find what the two databases do not agree about.

    Args:
        since: the begin of the backup (RFC 3339); what had its final state an hour before that is
            not looked at.
    """
    # The catalog first: an order is always there before its reservation.
    with closing(_connect(catalog_dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(_RESERVATIONS, {"since": since})
        reservations: dict[str, str] = dict(cursor.fetchall())
    with closing(_connect(orders_dsn)) as connection, connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT id, status, step FROM orders WHERE id = ANY(%s)", [list(reservations)]
        )
        orders = {row[0]: (row[1], row[2]) for row in cursor.fetchall()}
    release, cancel = [], []
    for order_id, state in sorted(reservations.items()):
        status, step = orders.get(order_id, ("unknown", "done"))
        if state == "released":
            # One that is about to pay would be sold without stock.
            if status in SOLD or step == "pay":
                cancel.append(order_id)
        elif step == "done" and status not in SOLD:
            release.append(order_id)
    return Plan(release, cancel)


_RESERVATIONS = """
SELECT id, state FROM reservations
WHERE greatest(created_at, settled_at) >= CAST(%(since)s AS timestamptz) - interval '1 hour'
"""


def give_back(catalog_url: str, service_token: str, order_ids: Iterable[str]) -> None:
    """Release reservations at the catalog. Raises StackError if one cannot be."""

    def release(order_id: str) -> None:
        url = f"{catalog_url}/api/reservations/{order_id}"
        limit = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                answer = call("DELETE", url, None, {"X-Service-Token": service_token}, timeout=10)
                if answer.status == 204:
                    return
                reason = f"answered {answer.status}: {answer.text[:300]}"
            except OSError as error:
                reason = str(error)
            if time.monotonic() > limit:
                raise StackError(f"the stock of order {order_id} was not given back: {reason}")
            time.sleep(0.2)

    with ThreadPoolExecutor(_CALLS_AT_ONCE) as pool:
        list(pool.map(release, order_ids))


def _connect(dsn: str) -> psycopg2.extensions.connection:
    return psycopg2.connect(dsn, connect_timeout=5, target_session_attrs="primary")


def _only(rows: list[tuple[Any, ...]]) -> str:
    return str(rows[0][0]) if rows else ""
