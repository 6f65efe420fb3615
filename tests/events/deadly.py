"""A consumer in a process of its own, which an event kills (`python -m tests.events.deadly …`).

It loads no more than it needs, because it is started again and again.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from contextlib import suppress
from pathlib import Path

from chassis import bus
from chassis.bus import attempts
from chassis.events import Event

# Fewer than usual: a process for each.
MOST_ATTEMPTS = 3
DEADLY = 5


def consume(url: str, service: str, group: str, member: str, told: str) -> None:
    """Write down the id of each event, and die of the one whose version is `DEADLY`."""
    attempts.MOST_ATTEMPTS = MOST_ATTEMPTS
    _wait_briefly(url)

    def handle(event: Event) -> None:
        if event.data["version"] == DEADLY:
            os.kill(os.getpid(), signal.SIGKILL)
        with Path(told).open("a") as file:
            file.write(f"{event.id}\n")

    consumer = bus.consumer(url, service=service, group=group, member=member, handle=handle)
    limit = time.monotonic() + 60
    while time.monotonic() < limit:
        with suppress(*bus.away()):
            consumer.cycle()


def _wait_briefly(url: str) -> None:
    if url.startswith("kafka"):
        from chassis.bus import kafka_consumer

        kafka_consumer.SESSION_MILLISECONDS = 1500
    else:
        from chassis.bus import redis_streams

        redis_streams.CLAIM_IDLE_MILLISECONDS = 50
        redis_streams.CLAIM_SECONDS = 0.05
        redis_streams.BLOCK_MILLISECONDS = 50


if __name__ == "__main__":
    consume(*sys.argv[1:])
