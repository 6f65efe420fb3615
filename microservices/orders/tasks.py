"""The Celery application that both ends of the workers' queue share.

A task is an order's id and nothing else, and carries it as its own id: what is to be done is in the
database, so a task that comes twice, late or never costs time and no effect.

Celery is loaded when it is first used: most commands that could enqueue something never do.
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

from redis.exceptions import RedisError

from chassis import correlation, tracing
from chassis.problems import Unavailable
from orders.queue import QUEUE

if TYPE_CHECKING:
    from celery import Celery

TASK = "orders.check_out"
# A task takes at most the deadline of a checkout and a payment's time-out; one that hangs is killed
# at this age, and its order is left to the next task.
LONGEST_TASK_SECONDS = 60
# What a worker took and neither finished nor gave back is given to another after this. It must be
# longer than the longest task, or that would be done by two at once.
VISIBILITY_SECONDS = 120


def make_app(url: str, concurrency: int = 1) -> Celery:
    """A Celery application on this Redis; nothing connects before its first use.

    Args:
        url: of the queue's database.
        concurrency: children of a worker, and so the tasks that it does at once.
    """
    from celery import Celery

    app = Celery("orders", broker=url, set_as_current=False)
    app.conf.update(
        task_default_queue=QUEUE,
        task_serializer="json",
        accept_content=["json"],
        task_ignore_result=True,
        # Acknowledged when it is done, and given back at once when its process is killed.
        task_acks_late=True,
        task_reject_on_worker_lost=True,
        task_time_limit=LONGEST_TASK_SECONDS,
        task_publish_retry=False,
        worker_concurrency=concurrency,
        worker_prefetch_multiplier=1,
        worker_enable_remote_control=False,
        worker_hijack_root_logger=False,
        worker_redirect_stdouts=False,
        broker_connection_retry_on_startup=True,
        broker_connection_max_retries=None,
        broker_transport_options={
            "visibility_timeout": VISIBILITY_SECONDS,
            "socket_timeout": 5.0,
            "socket_connect_timeout": 1.0,
            "max_retries": 0,
        },
    )
    return app


class Enqueuer:
    """The end of the queue that tasks are put in at."""

    def __init__(self, url: str) -> None:
        self._url = url

    @cached_property
    def _app(self) -> Celery:
        return make_app(self._url)

    def put(self, order_id: str) -> None:
        """Have some worker check an order out.

        Raises:
            Unavailable: the queue could not be reached; the task may or may not be in it.
        """
        from kombu.exceptions import KombuError

        try:
            with tracing.span("enqueue checkout", "producer", order=order_id):
                self._app.send_task(
                    TASK, (order_id,), task_id=order_id, retry=False, headers=correlation.current()
                )
        except (KombuError, RedisError, OSError) as error:
            raise Unavailable("The workers' queue cannot be reached.") from error
