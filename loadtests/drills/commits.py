"""Commits on one PostgreSQL node, asked directly, that wait no longer than they are told to."""

from __future__ import annotations

import os
import select
import socket
import time
from contextlib import suppress

import psycopg2
from psycopg2.extensions import POLL_OK, POLL_READ, POLL_WRITE

# Commits a message to the log of changes, which nobody reads, and changes no table.
COMMIT = "SELECT pg_logical_emit_message(true, 'feira-drill', '')"


class Committer:
    """A connection to one node, on which one transaction after the other is committed."""

    def __init__(self, dsn: str, seconds: float) -> None:
        """Connect. Raises OSError when that cannot be done in time."""
        try:
            self._connection = psycopg2.connect(dsn, async_=1)
            if not self._finished(seconds):
                raise OSError("no connection in time")
        except psycopg2.Error as error:
            raise OSError(str(error)) from None
        self._asked = False

    @property
    def local_port(self) -> int:
        """The port on this side of the connection."""
        with socket.socket(fileno=os.dup(self._connection.fileno())) as connection:
            return int(connection.getsockname()[1])

    def acknowledged(self, seconds: float) -> bool:
        """Whether a commit is acknowledged within some seconds.

        One that is not goes on waiting, and is waited for again by the next call. A commit with a
        warning counts for nothing: only this node has it.

        Raises OSError when the connection is gone.
        """
        try:
            if not self._asked:
                # Kept, for its answer goes with it.
                self._cursor = self._connection.cursor()
                self._cursor.execute(COMMIT)
                self._asked = True
            if not self._finished(seconds):
                return False
            self._asked = False
            warned = any("WARNING" in notice for notice in self._connection.notices)
            self._connection.notices.clear()
            return not warned
        except (psycopg2.OperationalError, psycopg2.InterfaceError) as error:
            raise OSError(str(error)) from None
        except psycopg2.Error:
            # Refused: it is a standby, or just becomes one.
            self._asked = False
            return False

    def close(self) -> None:
        """End the connection."""
        with suppress(psycopg2.Error):
            self._connection.close()

    def _finished(self, seconds: float) -> bool:
        limit = time.monotonic() + seconds
        while (state := self._connection.poll()) != POLL_OK:
            left = limit - time.monotonic()
            if left <= 0:
                return False
            descriptor = self._connection.fileno()
            reading = [descriptor] if state == POLL_READ else []
            writing = [descriptor] if state == POLL_WRITE else []
            select.select(reading, writing, [], min(left, 0.2))
        return True
