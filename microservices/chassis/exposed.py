"""Metrics of a process that serves nothing else: `/metrics` at an address of its own."""

from __future__ import annotations

import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from chassis import metrics


class _Handler(BaseHTTPRequestHandler):
    timeout = 5

    def do_GET(self) -> None:
        if self.path.partition("?")[0] != "/metrics":
            self.send_error(404)
            return
        body = metrics.exposition()
        self.send_response(200)
        self.send_header("Content-Type", metrics.CONTENT_TYPE)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """No line for each look."""


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Its successor can have the address at once.
    allow_reuse_address = True


def expose(address: str | None) -> None:
    """Show this process's metrics, and those of its children, at host:port; nothing without one.

    Raises:
        SystemExit: the address cannot be had.
    """
    if address is None:
        return
    host, _, port = address.rpartition(":")
    try:
        server = _Server((host, int(port)), _Handler)
    except (OSError, OverflowError) as error:
        raise SystemExit(f"METRICS_BIND: {address} cannot be had: {error}") from None
    os.set_inheritable(server.fileno(), False)
    threading.Thread(target=server.serve_forever, name="metrics", daemon=True).start()
