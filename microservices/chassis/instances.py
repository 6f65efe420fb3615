"""The instances of a service: the addresses behind its names, looked up again and again."""

from __future__ import annotations

import math
import socket
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from ipaddress import ip_address
from urllib.parse import urlsplit

from chassis import deadline

# How old a list is when another look-up begins, when it is too old to go by, and how long that
# look-up is waited for then: it has no bound of its own.
LOOK_SECONDS = 2.0
STALE_SECONDS = 4.0
WAIT_SECONDS = 0.2


class Instances:
    """Base URLs of a service's instances, looked up in the background while somebody asks."""

    def __init__(self, urls: Sequence[str]) -> None:
        """The names themselves are used until the first look-up is done.

        Args:
            urls: base URLs; a name may stand for several addresses, each of another instance of
                the service itself. One with https is left as it is: a certificate is of a name.
        """
        self._found = {url: [url] for url in urls}
        self._names = [url for url in urls if _is_name(url)]
        self._looked = -math.inf
        self._looking = threading.Lock()
        self._done = threading.Event()

    def now(self) -> list[str]:
        """Each once, as the last look-up had them, or the one that begins now if that is old."""
        age = time.monotonic() - self._looked
        if self._names and age > LOOK_SECONDS:
            self._begin()
            if STALE_SECONDS < age < math.inf:
                self._wait()
        return self._known()

    def anew(self) -> list[str]:
        """Each once, as a look-up has them that begins now: for when none of `now` was there."""
        if self._names:
            self._begin()
            self._wait()
        return self._known()

    def _known(self) -> list[str]:
        return list(dict.fromkeys(base for found in self._found.values() for base in found))

    def _wait(self) -> None:
        self._done.wait(min(WAIT_SECONDS, deadline.remaining() / 4))

    def _begin(self) -> None:
        if not self._looking.acquire(blocking=False):
            return
        self._done.clear()
        try:
            threading.Thread(target=self._look, daemon=True).start()
        except RuntimeError:  # no thread is to be had: the old list has to do
            self._end()

    def _look(self) -> None:
        try:
            # A name that is not found may be so for a moment: where it led to is kept.
            looked_up = {url: _behind(url) or self._found[url] for url in self._names}
            self._found = self._found | looked_up
        finally:
            self._end()

    def _end(self) -> None:
        self._looked = time.monotonic()
        self._done.set()
        self._looking.release()


def _is_name(url: str) -> bool:
    """Whether there is something to be looked up."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return False
    try:
        ip_address(parts.hostname or "")
    except ValueError:
        return parts.scheme == "http"
    return False


def _behind(url: str) -> list[str]:
    """The base URLs that a base URL stands for, in order; none when its name is not found."""
    found: dict[int, set[str]] = {}
    # ValueError: what is no name, or no port.
    with suppress(OSError, ValueError):
        parts = urlsplit(url)
        port = parts.port or 80
        for family, *_, address in socket.getaddrinfo(
            parts.hostname, port, type=socket.SOCK_STREAM
        ):
            found.setdefault(family, set()).add(str(address[0]))
        # An instance may have an address of either kind, and is one.
        hosts = found.get(socket.AF_INET) or found.get(socket.AF_INET6, set())
        return [
            parts._replace(netloc=f"[{host}]:{port}" if ":" in host else f"{host}:{port}").geturl()
            for host in sorted(hosts)
        ]
    return []
