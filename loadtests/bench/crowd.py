"""A shop with many products, carts and orders, written straight into its stores.

Rows are as the services would have written them, but nobody was told: no event, no view of a cart.
"""

from __future__ import annotations

import json
import time
from contextlib import closing
from typing import Any

import psycopg2
from redis import Redis

from local.errors import StackError
from local.stack import Stack

BATCH = 50_000
CART_BATCH = 5_000
DAY_MILLISECONDS = 86_400_000
# How long the standby may take for what was written, and a Redis for its log.
REST_SECONDS = 600
BEHIND_BYTES = 1_000_000
# Each customer of the crowd has so many orders, and the one who is measured so many of all.
ORDERS_EACH, ORDERS_OF_HIS_OWN = 20, 60

_PRODUCTS = """
WITH made AS (
    INSERT INTO products (sku, name, description, category_id, price_cents, image_url)
    SELECT 'CROWD-' || n,
    (ARRAY['Bolo', 'Torta', 'Brigadeiro', 'Pão', 'Biscoito', 'Doce', 'Quindim', 'Cocada', 'Pudim',
           'Sonho', 'Bomba', 'Rosca', 'Pavê', 'Mousse', 'Trufa', 'Geleia', 'Queijada', 'Suspiro',
           'Palha', 'Broa'])[1 + n %% 20]
    || ' de ' ||
    (ARRAY['chocolate', 'morango', 'coco', 'limão', 'milho', 'banana', 'maçã', 'goiaba', 'nozes',
           'café', 'canela', 'baunilha', 'laranja', 'abacaxi', 'maracujá', 'amendoim', 'castanha',
           'queijo', 'doce de leite', 'figo', 'uva', 'pistache', 'mel'])[1 + n / 20 %% 23]
    || ' n.º ' || n,
    'Feito de manhã em forno de pedra, em porções de ' || 50 + n %% 900 || ' g.',
    (SELECT id FROM categories ORDER BY id OFFSET n %% (SELECT count(*) FROM categories) LIMIT 1),
    100 + n::bigint * 7919 %% 20000, '/images/bolo.svg'
    FROM generate_series(%(first)s, %(last)s) AS n
    RETURNING id),
stocked AS (
    INSERT INTO stock (product_id, branch, available) SELECT id, %(branch)s, 1000 FROM made),
supplied AS (
    INSERT INTO stock_movements (product_id, branch, delta, kind, reference, at)
    SELECT id, %(branch)s, 1000, 'supply', 'first supply', now() FROM made)
INSERT INTO reservations (id, branch, state, lines, created_at, expires_at, settled_at)
SELECT 'crowd-' || n, %(branch)s, 'committed', '[{"product_id": 1, "quantity": 1}]', now(), now(),
    now()
FROM generate_series(%(first)s, %(last)s) AS n
"""
_ORDERS = """
WITH made AS (
    INSERT INTO orders (id, user_id, status, step, cart_id, cart_version, items, total_cents,
        currency, payment, version, created_at, updated_at, lease_until, retry_at)
    SELECT '01' || lpad(upper(to_hex(n)), 24, '0'),
        CASE WHEN n %% greatest(%(size)s / %(his_own)s, 1) = 0 THEN %(user)s
            ELSE 'crowd-' || n / %(each)s END,
        (ARRAY['delivered', 'delivered', 'delivered', 'delivered', 'confirmed', 'cancelled'])
            [1 + n %% 6],
        'done', 'crowd-' || n, 1,
        '[{"product_id": 1, "name": "Bolo", "quantity": 1, "unit_price_cents": 1000}]', 1000, 'BRL',
        '{"method": "card", "token": "tok_ok"}', 4, now() - n * interval '1 s', now(), now(), now()
    FROM generate_series(%(first)s, %(last)s) AS n
    RETURNING id, user_id),
logged AS (
    INSERT INTO saga_log (order_id, step, outcome, attempt, at, detail)
    SELECT id, step, 'succeeded', 1, now(), ''
    FROM made, unnest(ARRAY['reserve', 'pay', 'confirm']) AS step),
paid AS (
    INSERT INTO payments (order_id, amount_cents, currency, state, at)
    SELECT id, 1000, 'BRL', 'captured', now() FROM made),
charged AS (
    INSERT INTO simulated_charges (order_id, amount_cents, currency, state, at)
    SELECT id, 1000, 'BRL', 'captured', now() FROM made)
INSERT INTO idempotency_keys (user_id, route, key, body_hash, order_id, status, body, created_at)
SELECT user_id, 'checkout', id, '', id, 201, '{}', now() FROM made
"""

_BEHIND = """
SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), coalesce(replay_lsn, '0/0')) FROM pg_stat_replication
"""


class Crowd:
    """Fills a stack step by step; `size` is how many of each there are."""

    def __init__(self, stack: Stack, user_id: str) -> None:
        """Nobody's orders but those of `user_id` can be read with a token of the shop."""
        self._stack = stack
        self._user_id = user_id
        self.size = 0

    def grow(self, size: int) -> None:
        """Up to `size` products, orders and carts; returns when the stores are at rest.

        Raises StackError when they are not within ten minutes.
        """
        for first in range(self.size + 1, size + 1, BATCH):
            last = min(first + BATCH - 1, size)
            share = {
                "first": first,
                "last": last,
                "size": size,
                "branch": self._stack.settings.node_name,
            }
            orders = {"user": self._user_id, "each": ORDERS_EACH, "his_own": ORDERS_OF_HIS_OWN}
            self._do("catalog", _PRODUCTS, share)
            self._do("orders", _ORDERS, share | orders)
            self._fill_carts(range(first, last + 1))
        self.size = size
        for database in ("catalog", "orders"):
            self._do(database, "VACUUM ANALYZE", {})
        self._do("catalog", "CHECKPOINT", {})
        self._wait_until_at_rest()

    def carts(self, count: int) -> list[str]:
        """Ids of `count` carts from all over."""
        return [_cart_id(1 + n * self.size // count) for n in range(count)]

    def products(self, count: int) -> list[int]:
        """Ids of `count` products from all over."""
        query = "SELECT id FROM products WHERE sku = ANY (%(skus)s)"
        skus = [f"CROWD-{1 + n * self.size // count}" for n in range(count)]
        return [int(row[0]) for row in self._do("catalog", query, {"skus": skus})]

    def _fill_carts(self, numbers: range) -> None:
        line = "1 2 " + json.dumps({"name": "Bolo", "price_cents": 1000})
        with Redis.from_url(self._stack.redis_urls["redis-carts"]) as redis:
            for begin in range(0, len(numbers), CART_BATCH):
                pipeline = redis.pipeline(transaction=False)
                for number in numbers[begin : begin + CART_BATCH]:
                    key = f"cart:{_cart_id(number)}"
                    fields = {"_version": 2, "_settled": "", str(1 + number % 60): line}
                    pipeline.hset(key, mapping=fields)
                    pipeline.pexpire(key, DAY_MILLISECONDS)
                pipeline.execute()

    def _wait_until_at_rest(self) -> None:
        """What is measured is a large shop, not what filling it still costs the stores."""
        limit = time.monotonic() + REST_SECONDS
        while not self._is_at_rest():
            if time.monotonic() > limit:
                raise StackError(f"the stores were not at rest after {REST_SECONDS} s")
            time.sleep(1)

    def _is_at_rest(self) -> bool:
        with Redis.from_url(self._stack.redis_urls["redis-carts"]) as redis:
            writes = redis.info("persistence")
        if any(writes[of] for of in ("aof_rewrite_in_progress", "aof_rewrite_scheduled")):
            return False
        return all(row[0] < BEHIND_BYTES for row in self._do("catalog", _BEHIND, {}))

    def _do(
        self, database: str, statement: str, values: dict[str, object]
    ) -> list[tuple[Any, ...]]:
        dsn = self._stack.cluster.superuser_url(database)
        with closing(psycopg2.connect(dsn)) as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(statement, values)
                return cursor.fetchall() if cursor.description else []


def _cart_id(number: int) -> str:
    return f"crowd{number:019d}"
