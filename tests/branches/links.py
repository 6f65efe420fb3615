"""The ways between branches, as bad as a test wants them to be."""

from __future__ import annotations

import http.client
import random
import threading
from contextlib import closing, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

HERE = "127.0.0.1"


@dataclass
class Faults:
    """What a link does to requests: shares from 0 to 1, and whether anything passes at all."""

    cut: bool = False
    drop: float = 0.0
    lose_answer: float = 0.0
    copies: int = 1
    late: float = 0.0
    let_go: float = 0.5


class Link:
    """A way to a branch: an HTTP proxy that may be as bad as a network can be."""

    def __init__(self, port: int, host: str = HERE) -> None:
        self.faults = Faults()
        self.requests = 0
        self._to = (host, port)
        self._chance = random.Random(port)
        self._held: list[tuple[str, dict[str, str], bytes]] = []
        self._first: list[tuple[str, dict[str, str], bytes]] = []
        self._lock = threading.Lock()
        link = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                answer = link._pass_on(self.path, dict(self.headers), body)
                if answer is None:
                    self.close_connection = True
                    return
                status, text = answer
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        # Who hung up meanwhile is no fault of the link's.
        self._server.handle_error = lambda *_: None  # type: ignore[method-assign]
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )
        self._thread.start()

    def _pass_on(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes] | None:
        self.requests += 1
        faults, chance = self.faults, self._chance.random
        if faults.cut or chance() < faults.drop:
            return None
        with self._lock:
            if len(self._first) < 20:
                self._first.append((path, headers, body))
            held = [self._held.pop() for _ in range(len(self._held)) if chance() < faults.let_go]
            if chance() < faults.late:
                self._held.append((path, headers, body))
                return None
        for old in held:
            with suppress(OSError, http.client.HTTPException):
                self._send(*old)
        answer = None
        for _ in range(faults.copies):
            try:
                answer = self._send(path, headers, body)
            except (OSError, http.client.HTTPException):
                return None
        return None if chance() < faults.lose_answer else answer

    def _send(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, bytes]:
        with closing(http.client.HTTPConnection(*self._to, timeout=10)) as connection:
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()

    def let_go(self) -> int:
        """Pass on what was held back and what was sent first, after all else; how many requests."""
        with self._lock:
            held, self._held = self._held + self._first, []
        for old in held:
            self._send(*old)
        return len(held)

    def close(self) -> None:
        """End it."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


@dataclass(frozen=True)
class Way:
    """A way to a branch that has nothing in between."""

    url: str
