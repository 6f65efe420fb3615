"""The ideal purchase: one transaction, one round trip, and PostgreSQL alone, driven by pgbench.

It writes what a purchase has to leave behind (key, order, stock, movement, payment, event) in one
function call, in the same cluster and with the same durability as the services.
"""

from __future__ import annotations

import subprocess
import tempfile
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import psycopg2
import psycopg2.extensions

from loadtests.bench.figures import percentile
from local.errors import StackError
from local.postgres import HOST, binary
from local.settings import inherited_environment
from local.stack import Stack

DATABASE = "bench"
ROWS = 1000

_SCHEMA = """
CREATE TABLE keys (
    customer text, key text, order_id text NOT NULL, status int, body jsonb,
    PRIMARY KEY (customer, key)
);
CREATE TABLE orders (
    id text PRIMARY KEY, customer text NOT NULL, status text NOT NULL, items jsonb NOT NULL,
    total_cents bigint NOT NULL, created_at timestamptz NOT NULL
);
CREATE INDEX orders_of_customer ON orders (customer, created_at);
CREATE TABLE stock (
    product_id bigint PRIMARY KEY, available bigint NOT NULL CHECK (available >= 0),
    version bigint NOT NULL DEFAULT 1
);
CREATE TABLE movements (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, product_id bigint NOT NULL,
    delta bigint NOT NULL, reference text NOT NULL, at timestamptz NOT NULL
);
CREATE TABLE payments (
    order_id text PRIMARY KEY, amount_cents bigint NOT NULL, at timestamptz NOT NULL
);
CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, type text NOT NULL, data jsonb NOT NULL
);
INSERT INTO stock SELECT n, 1000000000 FROM generate_series(1, {rows}) AS n;

CREATE FUNCTION buy(wanted bigint) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    order_id text := gen_random_uuid();
    customer text := 'customer-' || (random() * 1000)::int;
    document jsonb := jsonb_build_object('id', order_id, 'status', 'confirmed', 'items',
        jsonb_build_array(jsonb_build_object('product_id', wanted, 'quantity', 1)));
BEGIN
    INSERT INTO keys VALUES (customer, order_id, order_id, 201, document);
    INSERT INTO orders VALUES (order_id, customer, 'confirmed', document -> 'items', 1000, now());
    INSERT INTO payments VALUES (order_id, 1000, now());
    INSERT INTO outbox (type, data) VALUES ('order.confirmed', document);
    -- Last, so that the row is locked for no longer than it takes to commit.
    UPDATE stock SET available = available - 1, version = version + 1
    WHERE product_id = wanted AND available >= 1;
    INSERT INTO movements (product_id, delta, reference, at) VALUES (wanted, -1, order_id, now());
    RETURN order_id;
END
$$;
"""


@dataclass(frozen=True)
class Result:
    """Purchases done, in how many seconds, and their latencies in milliseconds."""

    count: int
    seconds: float
    p50: float
    p99: float


def synchronous_commit(stack: Stack) -> str:
    """The setting that the orders service commits with."""
    connecting = closing(psycopg2.connect(stack.dsn("orders", "orders")))
    with connecting as connection, connection.cursor() as cursor:
        cursor.execute("SHOW synchronous_commit")
        found = cursor.fetchone()
    assert found is not None
    return str(found[0])


def prepare(stack: Stack, commit: str) -> None:
    """A fresh database of its own with the tables of the ideal purchase.

    Args:
        commit: what `synchronous_commit` is there.
    """
    stack.cluster.query(f"DROP DATABASE IF EXISTS {DATABASE}")
    stack.cluster.query(f"CREATE DATABASE {DATABASE}")
    stack.cluster.query(f"ALTER DATABASE {DATABASE} SET synchronous_commit TO '{commit}'")
    connecting = closing(psycopg2.connect(_leader_dsn(stack)))
    with connecting as connection, connection, connection.cursor() as cursor:
        cursor.execute(_SCHEMA.format(rows=ROWS))


def run(stack: Stack, *, hot: bool, clients: int, seconds: float, commit: str) -> Result:
    """Buy for a while: one product of all, or one hot product. Raises StackError if it fails."""
    product = "1" if hot else f"random(1, {ROWS})"
    script = f"\\set product {product}\nSELECT buy(:product);\n"
    return drive(stack, script, clients=clients, seconds=seconds, commit=commit)


def drive(
    stack: Stack, text: str, *, clients: int, seconds: float, commit: str, database: str = DATABASE
) -> Result:
    """Run a script of pgbench's for a while. Raises StackError if it fails."""
    with tempfile.TemporaryDirectory(dir=stack.settings.run) as folder:
        home = Path(folder)
        script = home / "purchase.sql"
        script.write_text(text, "utf-8")
        command = [str(binary("pgbench")), "-n", "-M", "prepared", "-c", str(clients), "-j", "1"]
        command += ["-T", str(max(1, round(seconds))), "-f", str(script), "-l"]
        log = stack.settings.logs / "pgbench.log"
        with log.open("wb") as output:
            done = subprocess.run(
                [*command, f"--log-prefix={home / 'log'}"],
                env=inherited_environment() | _connection(stack, commit, database),
                stdout=output,
                stderr=subprocess.STDOUT,
                check=False,
            )
        if done.returncode:
            raise StackError(f"ended with {done.returncode}", process="pgbench", log=log)
        return parse([line for path in home.glob("log.*") for line in _lines(path)])


def _connection(stack: Stack, commit: str, database: str) -> dict[str, str]:
    """libpq's variables: a password has no place on a command line."""
    names = {"dbname": "database"}
    variables = {
        f"PG{names.get(key, key).upper()}": text for key, text in leader(stack, database).items()
    }
    return variables | {"PGOPTIONS": f"-c synchronous_commit={commit}"}


def _leader_dsn(stack: Stack) -> str:
    return psycopg2.extensions.make_dsn(**leader(stack, DATABASE))


def leader(stack: Stack, database: str) -> dict[str, str]:
    """How to connect to the node that leads, asking no other.

    A standby that has not replayed the new database yet would refuse, and libpq leave it at that.
    """
    parts = psycopg2.extensions.parse_dsn(stack.cluster.superuser_url(database))
    node = stack.cluster.nodes[stack.cluster.primary()]
    kept = {key: str(parts[key]) for key in ("user", "password", "dbname")}
    return kept | {"host": HOST, "port": str(node.port)}


def _lines(path: Path) -> list[str]:
    return path.read_text("ascii").splitlines()


def parse(lines: list[str]) -> Result:
    """What `pgbench -l` wrote: client, number, microseconds, script, end (s), end (us).

    Raises ValueError when there is no line.
    """
    rows = [[int(field) for field in line.split()[:6]] for line in lines]
    took = sorted(row[2] / 1000 for row in rows)
    ends = [row[4] + row[5] / 1e6 for row in rows]
    begins = [end - row[2] / 1e6 for end, row in zip(ends, rows, strict=True)]
    seconds = max(ends, default=0.0) - min(begins, default=0.0)
    return Result(len(took), seconds, percentile(took, 0.5), percentile(took, 0.99))
