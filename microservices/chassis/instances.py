"""The instances of a service: the addresses behind its names, looked up again and again."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

LOOK_SECONDS = 2.0


class Instances:
    """Base URLs of a service's instances, never waited for: a look-up has no bound on its time."""

    def __init__(self, urls: Sequence[str]) -> None:
        """The names themselves are used until the first look-up is done.

        Args:
            urls: base URLs; a name may stand for several addresses, each of another instance. One
                with https is left as it is, for a certificate is of a name.
        """
        self._urls = tuple(urls)
        self._found: dict[str, list[str]] = {url: [url] for url in urls}
        self._next = 0.0
        self._looking = threading.Lock()

    def now(self) -> list[str]:
        """Those of the last look-up, each once. Begins another one if that is some time ago."""
        if time.monotonic() > self._next and self._looking.acquire(blocking=False):
            threading.Thread(target=self._look, daemon=True).start()
        return list(dict.fromkeys(base for found in self._found.values() for base in found))

    def _look(self) -> None:
        try:
            # A name that is not found may be so for a moment: where it led to is kept.
            self._found = {url: _behind(url) or self._found[url] for url in self._urls}
        finally:
            self._next = time.monotonic() + LOOK_SECONDS
            self._looking.release()


def _behind(url: str) -> list[str]:
    """The base URLs that a base URL stands for, in order; none when its name is not found."""
    parts = urlsplit(url)
    if parts.scheme != "http":
        return [url]
    port = parts.port or 80
    try:
        found = socket.getaddrinfo(parts.hostname, port, type=socket.SOCK_STREAM)
    except OSError:
        return []
    hosts = sorted({str(address[0]) for *_, address in found})
    return [
        parts._replace(netloc=f"[{host}]:{port}" if ":" in host else f"{host}:{port}").geturl()
        for host in hosts
    ]
