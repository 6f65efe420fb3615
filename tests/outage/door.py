"""A door in front of a server: a TCP proxy that a test shuts, mutes or makes slow."""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

CHUNK = 65_536


class Door:
    """Forwards 127.0.0.1:`port` to a server, as long as it is let."""

    def __init__(self, target: int) -> None:
        self._target = target
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port: int = self._listener.getsockname()[1]
        self.requests = 0
        self._shut = False
        self._delay = 0.0
        self._mute_after: bytes | None = None
        self._cut_after = False
        self._flowing = threading.Event()
        self._flowing.set()
        self._quick = threading.Event()
        self._pairs: list[tuple[socket.socket, socket.socket]] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @contextmanager
    def shut(self) -> Iterator[None]:
        """Connections are cut, and new ones refused."""
        self._shut = True
        self._cut()
        try:
            yield
        finally:
            self._shut = False

    @contextmanager
    def mute(self) -> Iterator[None]:
        """As a frozen process: connections are taken, nothing comes back; later all goes on."""
        self._flowing.clear()
        try:
            yield
        finally:
            self._flowing.set()

    @contextmanager
    def slow(self, seconds: float) -> Iterator[None]:
        """Whatever is sent arrives so much later, until this ends."""
        self._delay = seconds
        self._quick.clear()
        try:
            yield
        finally:
            self._delay = 0.0
            self._quick.set()

    @contextmanager
    def losing_the_answer_to(self, words: bytes, *, cut: bool = False) -> Iterator[None]:
        """What holds these words is delivered, and nothing more comes back on that connection.

        Args:
            cut: the connection breaks then, which is noticed at once.
        """
        self._mute_after, self._cut_after = words, cut
        try:
            yield
        finally:
            self._mute_after = None

    def close(self) -> None:
        """For good."""
        self._shut = True
        self._flowing.set()
        self._quick.set()
        self._listener.close()
        self._cut()

    def _cut(self) -> None:
        pairs, self._pairs = self._pairs, []
        for pair in pairs:
            for end in pair:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                if self._shut:
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    client.close()
                    continue
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with (
            client,
            suppress(OSError),
            socket.create_connection(("127.0.0.1", self._target)) as server,
        ):
            self._pairs.append((client, server))
            muted = threading.Event()
            back = threading.Thread(target=self._pump_back, args=(server, client, muted))
            back.start()
            self._pump(client, server, muted)
            back.join()

    def _pump(self, client: socket.socket, server: socket.socket, muted: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(CHUNK):
                self.requests += data.count(b" HTTP/1.1\r\n")
                self._flowing.wait()
                if self._delay:
                    self._quick.wait(self._delay)
                if self._mute_after and self._mute_after in data:
                    muted.set()
                server.sendall(data)
                if muted.is_set() and self._cut_after:
                    client.shutdown(socket.SHUT_RDWR)
        with suppress(OSError):
            server.shutdown(socket.SHUT_WR)

    def _pump_back(
        self, server: socket.socket, client: socket.socket, muted: threading.Event
    ) -> None:
        with suppress(OSError):
            while data := server.recv(CHUNK):
                self._flowing.wait()
                if not muted.is_set():
                    client.sendall(data)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)
