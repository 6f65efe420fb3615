"""Prints what one Patroni says of itself and of its cluster, as JSON lines, until it is ended.

It runs wherever that Patroni can be reached, so it needs the standard library only. Each line has
`at` (Unix time), `own` (Patroni's `/patroni`) and `cluster` (its `/cluster`); one that could not be
had is empty. It ends when its standard input does: nothing is left of it when who started it dies.
"""

import http.client
import json
import os
import sys
import threading
import time

PERIOD_SECONDS = 0.2
# From where Patroni is asked: look PORT [ADDRESS].
SOURCE = sys.argv[2] if len(sys.argv) > 2 else "127.0.0.1"


def main(port: int) -> None:
    """Look again and again."""
    threading.Thread(target=_end_with_input, daemon=True).start()
    while True:
        began = time.time()
        line = {"at": began, "own": ask(port, "/patroni"), "cluster": ask(port, "/cluster")}
        sys.stdout.write(json.dumps(line) + "\n")
        sys.stdout.flush()
        time.sleep(max(0.0, began + PERIOD_SECONDS - time.time()))


def ask(port: int, path: str) -> object:
    """The JSON answer, or an empty object."""
    connection = http.client.HTTPConnection("127.0.0.1", port, 1.0, source_address=(SOURCE, 0))
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return json.loads(answer.read()) if answer.status == 200 else {}
    except (OSError, ValueError, http.client.HTTPException):
        return {}
    finally:
        connection.close()


def _end_with_input() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


if __name__ == "__main__":
    main(int(sys.argv[1]))
