"""What the tables hold, for tests that must know that nothing (or just one thing) happened."""

from __future__ import annotations

import functools
from typing import Any

import psycopg2

from tests.shop import Shop


@functools.cache
def _connection(dsn: str) -> Any:
    # `primary`, not `read-write`: the auditor's sessions are read-only wherever they are.
    connection = psycopg2.connect(dsn, target_session_attrs="primary")
    connection.autocommit = True
    return connection


def rows(shop: Shop, database: str, query: str, **values: Any) -> list[tuple[Any, ...]]:
    """The rows of a query on the primary, by the role that may only read."""
    with _connection(shop.stack.dsn("auditor", database)).cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())
