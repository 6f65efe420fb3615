"""From the event `order.placed` to a task in the workers' queue, and again if the queue lost it."""

from __future__ import annotations

from datetime import timedelta

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session

from chassis import correlation
from chassis.events import Event
from orders.ports import Ports
from orders.tasks import Enqueuer

BATCH = 500

log = structlog.get_logger()


def on_order_event(enqueuer: Enqueuer, event: Event) -> None:
    """Put the task of an order that was taken into the queue.

    The event is acknowledged when this returns, so once the task is safe. One that comes again puts
    a second task there, which finds nothing to do.

    Raises:
        Unavailable: the queue cannot be reached; the event is to come again.
    """
    if event.type == "order.placed":
        enqueuer.put(event.subject)
        log.info("enqueued", order=event.subject)


def requeue(ports: Ports, enqueuer: Enqueuer) -> bool:
    """Put the tasks of orders that should have gone on by now into the queue again.

    Those are orders that wait for nothing any more: a pause is over, or the lease of a worker that
    died; and, once they are older than the patience, those whose task is not in the queue, because
    Redis lost it. A queue that is merely long is left alone: it is served in the order in which
    the tasks came, so an order younger than the one whose turn is next still has its task in it.

    Raises:
        RedisError, Unavailable: the queue cannot be reached; the recovery takes these orders over.
    """
    next_order = ports.queue.next_order()
    due = ports.database.write(lambda session: _due(ports, session))
    for order_id, version, context in due:
        in_queue = version == 1 and next_order is not None and order_id >= next_order
        if not in_queue:
            with correlation.continued(context, "requeue", "internal", order=order_id):
                enqueuer.put(order_id)
                log.info("requeued")
    return len(due) == BATCH


def _due(ports: Ports, session: Session) -> list[tuple[str, int, correlation.Context | None]]:
    now = ports.clock.now()
    patience = timedelta(seconds=ports.settings.task_patience_seconds)
    rows = session.execute(text(_DUE), {"now": now, "stale": now - patience, "limit": BATCH})
    return [(row.id, row.version, row.context) for row in rows]


# The version stays as it is: a worker that is just taking the order over is not disturbed.
_DUE = """
WITH due AS (
    SELECT id FROM orders
    WHERE step <> 'done' AND queued_at IS NOT NULL AND greatest(lease_until, retry_at) <= :now
        AND (queued_at < greatest(lease_until, retry_at) OR queued_at < :stale)
    ORDER BY id LIMIT :limit FOR UPDATE SKIP LOCKED)
UPDATE orders SET queued_at = :now FROM due WHERE orders.id = due.id
RETURNING orders.id, orders.version, orders.context
"""
