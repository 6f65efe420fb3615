"""A worker process: `python -m orders.worker [HEARTBEAT]`.

The parent takes tasks from the queue and hands them to its children, one each; a child that is
killed costs its task a second try, a parent that is killed leaves it to another worker.

Celery's own command line does the same (`celery -A orders.worker:app worker`); it loads an
interactive shell that nobody needs here, which would take a sixth of the memory.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path
from typing import Any

from celery import bootsteps, signals

from chassis import correlation, exposed, logs, metrics, tracing
from chassis.background import BEAT_SECONDS
from chassis.clock import SystemClock
from orders import tasks, work
from orders.infrastructure import make_ports
from orders.ports import Ports
from orders.settings import Settings

# Shoppers who wait for an answer come first: on a machine that is busy, the queue grows instead.
NICENESS = 5

settings = Settings.load()
app = tasks.make_app(settings.task_queue_url, settings.worker_concurrency)
_ports: Ports | None = None


@app.task(name=tasks.TASK, bind=True)  # type: ignore[untyped-decorator]
def check_out(task: Any, order_id: str) -> None:
    """Check one order out, as far as it goes now."""
    assert _ports is not None, "a child begins with worker_process_init"
    context = correlation.read(vars(task.request))
    with correlation.continued(context, "check out", "consumer", order=order_id):
        work.check_out(_ports, order_id)
    metrics.samples.take()


@signals.setup_logging.connect  # type: ignore[untyped-decorator]
def _configure_logs(**_: Any) -> None:
    logs.configure("orders", settings.instance, settings.log_level)
    tracing.configure("orders", settings)


@signals.worker_init.connect  # type: ignore[untyped-decorator]
def _before_the_fork(**_: Any) -> None:
    os.nice(NICENESS)
    # What is loaded by now is shared with the children, as long as no collector writes to it.
    gc.collect()
    gc.freeze()


@signals.worker_process_init.connect  # type: ignore[untyped-decorator]
def _in_a_child(**_: Any) -> None:
    global _ports
    _ports = make_ports(settings, SystemClock())


@signals.worker_ready.connect  # type: ignore[untyped-decorator]
def _ready(**_: Any) -> None:
    exposed.expose(settings.metrics_bind)


@signals.worker_process_shutdown.connect  # type: ignore[untyped-decorator]
def _before_the_end_of_a_child(**_: Any) -> None:
    tracing.shut_down()


class Heartbeat(bootsteps.StartStopStep):  # type: ignore[misc]
    """Touches a file every second while the parent turns, which waits for tasks in between."""

    requires = ("celery.worker.components:Timer",)
    file = Path("/dev/null")

    def start(self, parent: Any) -> None:
        """Called by Celery once the timer is there."""
        parent.timer.call_repeatedly(BEAT_SECONDS, self.file.touch)


def main(heartbeat: Path | None = None) -> int:
    """Work until SIGTERM, then end the tasks at hand; the exit status.

    Args:
        heartbeat: a file that is touched every second while the process is not stuck.
    """
    if heartbeat:
        Heartbeat.file = heartbeat
        app.steps["worker"].add(Heartbeat)
    worker = app.Worker(
        hostname=f"{settings.instance}@feira",
        loglevel=settings.log_level,
        # Nobody asks a worker after another, and nobody answers.
        without_gossip=True,
        without_mingle=True,
        without_heartbeat=True,
        quiet=True,
    )
    worker.start()
    return int(worker.exitcode or 0)


if __name__ == "__main__":
    sys.exit(main(*map(Path, sys.argv[1:])))
