"""A service that a test plays itself: it sees every arrival and decides every answer."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass(frozen=True)
class Arrival:
    """One request as a service sees it; `target` is the raw path and query."""

    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True)
class Answer:
    """What a stand-in says, `delay` seconds later; with `stream`, piece by piece as it yields."""

    status: int = 200
    body: bytes = b'{"from":"service"}'
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"
    delay: float = 0.0
    stream: Callable[[], Iterator[bytes]] | None = None


class HangUp:
    """Instead of an Answer: the connection is cut after the request was read, as by a SIGKILL."""


Responder = Callable[[Arrival], "Answer | HangUp"]


class StandIn:
    """A service on a free port of this machine that records what arrives."""

    def __init__(
        self, respond: Responder | None = None, host: str = "127.0.0.1", port: int = 0
    ) -> None:
        self.arrivals: list[Arrival] = []
        self.respond: Responder = respond or (lambda _: Answer())
        self._server = ThreadingHTTPServer((host, port), self._handler())
        self._server.daemon_threads = True
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def count(self, method: str) -> int:
        """How many requests of this method arrived."""
        return sum(arrival.method == method for arrival in self.arrivals)

    def stop(self) -> None:
        """Close the port: connections are refused from now on."""
        self._server.shutdown()
        self._server.server_close()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def log_message(self, format: str, *args: Any) -> None:
                pass

            def serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                arrival = Arrival(self.command, self.path, dict(self.headers), body)
                stand_in.arrivals.append(arrival)
                answer = stand_in.respond(arrival)
                if isinstance(answer, HangUp):
                    self.connection.shutdown(socket.SHUT_RDWR)
                    self.close_connection = True
                    return
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                    self.reply(answer)

            def reply(self, answer: Answer) -> None:
                time.sleep(answer.delay)
                self.send_response(answer.status)
                for name, value in answer.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Type", answer.content_type)
                if answer.stream is not None:
                    self.pour(answer.stream())
                    return
                if answer.status not in (204, 304):
                    self.send_header("Content-Length", str(len(answer.body)))
                self.end_headers()
                if self.command != "HEAD" and answer.status not in (204, 304):
                    self.wfile.write(answer.body)

            def pour(self, pieces: Iterator[bytes]) -> None:
                self.send_header("Connection", "close")
                self.end_headers()
                for piece in pieces:
                    self.wfile.write(piece)
                    self.wfile.flush()

            do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = serve

        return Handler
