"""What a process writes down: one object of JSON in each line, whoever says it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

SCRIPT = """
import logging, threading
import structlog
from chassis import logs

logs.configure("catalog", "catalog-1", "info")

def say(number):
    for turn in range(200):
        structlog.get_logger().info("said", thread=number, turn=turn)
        logging.getLogger("a.library").warning("said by %s", number)
        logging.getLogger("sqlalchemy.pool").info("a connection was lost")

threads = [threading.Thread(target=say, args=(number,)) for number in range(8)]
for thread in threads: thread.start()
for thread in threads: thread.join()
"""


def test_every_line_is_one_object_of_json() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        env=os.environ | {"PYTHONPATH": "microservices", "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {(line["service"], line["instance"]) for line in lines} == {("catalog", "catalog-1")}
    assert {line["level"] for line in lines} == {"info", "warning"}
    own = {(line["thread"], line["turn"]) for line in lines if line["event"] == "said"}
    assert own == {(number, turn) for number in range(8) for turn in range(200)}
    assert len(lines) == 2 * 8 * 200
