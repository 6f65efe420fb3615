"""Exit status 0 if what runs in this container does its work.

Without an argument it is asked: nothing but a 200 from /ready will do. With one, of a background
process: a file that is touched every second while every loop turns (see chassis/background.py).
"""

import http.client
import os
import sys
import time
from pathlib import Path

YOUNG_SECONDS = 10.0


def ask(port: int) -> str | None:
    """What is wrong with the instance that listens at a port; None if nothing is."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=6)
    try:
        connection.request("GET", "/ready")
        answer = connection.getresponse()
    except OSError as error:
        return f"no answer: {error}"
    if answer.status != 200:
        return f"{answer.status}: {answer.read(500).decode(errors='replace')}"
    return None


def look(heartbeat: Path) -> str | None:
    """What is wrong with the background process that keeps a file young; None if nothing is."""
    try:
        age = time.time() - heartbeat.stat().st_mtime
    except FileNotFoundError:
        return "not every loop has finished a round yet"
    if age > YOUNG_SECONDS:
        return f"a loop has not turned for long, or the process is stuck: {age:.0f} s"
    return None


if __name__ == "__main__":
    if len(sys.argv) > 1:
        sys.exit(look(Path(sys.argv[1])))
    sys.exit(ask(int(os.environ["BIND"].rpartition(":")[2])))
