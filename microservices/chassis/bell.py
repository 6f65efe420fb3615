"""Wakes the relay when there is something to deliver (LISTEN and NOTIFY).

A transaction that notifies takes a lock of the whole database at its commit, and keeps it until
the commit is on disk: if every purchase rang, purchases would commit one after the other. So the
trigger on the outbox rings only while the relay says, in `outbox_relay`, that it sleeps. One that
is awake polls, and goes to sleep after a quiet moment.
"""

from __future__ import annotations

import select
import time
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Connection

CHANNEL = "outbox"
# Asleep, or waiting for the lock: how long a lost notification could delay an event.
POLL_SECONDS = 1.0
AWAKE_POLL_SECONDS = 0.05
QUIET_SECONDS = 0.5

SCHEMA = f"""
CREATE TABLE outbox_relay (asleep boolean NOT NULL);
INSERT INTO outbox_relay VALUES (false);
CREATE FUNCTION wake_relay() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF EXISTS (SELECT FROM outbox_relay WHERE asleep) THEN
        PERFORM pg_notify('{CHANNEL}', '');
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER wake_relay AFTER INSERT ON outbox
    FOR EACH STATEMENT EXECUTE FUNCTION wake_relay();
"""


def grants(role: str) -> str:
    """SQL that lets a service's role ring and sleep."""
    return f"GRANT SELECT, UPDATE ON outbox_relay TO {role};"


class Bell:
    """One relay's sleep: when it may begin, and what ends it."""

    def __init__(self) -> None:
        self._last_rang = time.monotonic()
        # Every transaction below this may have begun while the relay still said it was awake.
        self._asleep_since: int | None = None
        self._read_up_to = 0

    def install(self, connection: Connection) -> None:
        """Listen on the relay's connection, awake."""
        connection.execute(text(f"LISTEN {CHANNEL}"))
        connection.execute(text(_AWAKE))
        self._last_rang, self._asleep_since = time.monotonic(), None

    def read_up_to(self, transaction: int) -> None:
        """Everything of transactions below this one was read (the oldest that still ran)."""
        self._read_up_to = transaction

    def rang(self, connection: Connection) -> None:
        """There was something: stay awake for a while, so that nobody needs to ring."""
        self._last_rang = time.monotonic()
        if self._asleep_since is not None:
            self._asleep_since = None
            connection.execute(text(_AWAKE))

    def wait(self, connection: Connection | None) -> None:
        """Return when something may be there, after a second at most.

        Args:
            connection: the relay's, or None when another relay holds the lock.

        Raises:
            Exception: the connection was lost.
        """
        if connection is None:
            time.sleep(POLL_SECONDS)
        elif self._asleep_since is not None and self._read_up_to >= self._asleep_since:
            _listen(connection.connection.driver_connection, POLL_SECONDS)
        else:
            if self._asleep_since is None and time.monotonic() - self._last_rang > QUIET_SECONDS:
                connection.execute(text(_ASLEEP))
                # Whoever begins from now on sees it and rings; those before are waited for.
                self._asleep_since = int(connection.scalar(text(_NEXT_TRANSACTION)) or 0)
            time.sleep(AWAKE_POLL_SECONDS)


def _listen(raw: Any, seconds: float) -> None:
    if select.select([raw], [], [], seconds)[0]:
        raw.poll()
        raw.notifies.clear()


_AWAKE = "UPDATE outbox_relay SET asleep = false WHERE asleep"
_ASLEEP = "UPDATE outbox_relay SET asleep = true WHERE NOT asleep"
_NEXT_TRANSACTION = "SELECT CAST(pg_snapshot_xmax(pg_current_snapshot()) AS text)"
