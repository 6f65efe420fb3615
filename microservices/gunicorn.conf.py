"""How every service runs under gunicorn."""

import gc
import json
import os
import signal
import sys
from socket import socket
from typing import Any

from gunicorn import util

bind = os.environ.get("BIND", "127.0.0.1:8000")
workers = int(os.environ.get("WORKERS", "1"))
worker_class = "chassis.worker.Worker"
threads = int(os.environ.get("THREADS", "16"))
# Loaded before the port is opened: until then the gateway is refused, and asks another instance. A
# worker is forked from what was loaded, so nothing may connect or start a thread before that.
preload_app = True
# Until gunicorn listens to signals itself, the first process of a container would ignore this one.
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
# Longer than the gateway keeps its side open: it never reuses a connection that we are closing.
keepalive = 75
graceful_timeout = 20
timeout = 60
# The gateway escapes paths anew, which can make them longer than they came.
limit_request_line = 8190
# Nobody but the gateway can reach a service, and it overwrites what clients say of themselves.
forwarded_allow_ips = "*"
accesslog = None
errorlog = "-"
loglevel = "warning"
worker_tmp_dir = "/dev/shm" if os.path.isdir("/dev/shm") else None
control_socket_disable = True


def write_problem(connection: socket, status: int, title: str, detail: str) -> None:
    """Answer a request that is not even HTTP as every other error is answered."""
    document = {"type": "about:blank", "title": title, "status": status, "detail": title}
    body = json.dumps(document | {"instance": ""})
    head = (
        f"HTTP/1.1 {status} {title}\r\nConnection: close\r\n"
        f"Content-Type: application/problem+json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    util.write_nonblock(connection, (head + body).encode())


# gunicorn has no setting for the page of HTML that it would send.
util.write_error = write_problem


def pre_fork(server: Any, worker: Any) -> None:
    """What is loaded by now is shared with the worker, as long as no collector writes to it."""
    gc.collect()
    gc.freeze()


def child_exit(server: Any, worker: Any) -> None:
    """Forget the metrics of a worker that ended."""
    if os.environ.get("PROMETHEUS_MULTIPROC_DIR"):
        from prometheus_client import multiprocess

        multiprocess.mark_process_dead(worker.pid)
