"""Delivery to one peer: first everything there is, then the outbox from there on, in order."""

from __future__ import annotations

import random
import time
import zlib
from collections.abc import Callable, Iterable
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.engine import Connection, Engine

from chassis.bell import Bell
from chassis.bus.port import DataLost
from chassis.events import Event
from chassis.outbox import RELAY_LOCK, Relay, Sink
from chassis.replication import state
from chassis.replication.client import PeerAway
from chassis.replication.sink import PeerSink, SetBack

# Longest pause between two tries, as a multiple of the first.
MOST_PAUSES = 8
POLL_SECONDS = 0.3
# After a long cut most of what waits is stock that was said anew: of a batch, the last counts.
BATCH = 5000

Snapshot = Callable[[Connection], Iterable[Event]]

log = structlog.get_logger()


class _NoBell(Bell):
    """A peer is told a little later than the bus: nobody is rung for it."""

    def install(self, connection: Connection) -> None:
        pass

    def rang(self, connection: Connection) -> None:
        pass

    def wait(self, connection: Connection | None) -> None:
        time.sleep(POLL_SECONDS)


class PeerRelay(Relay):
    """Delivers one service's outbox to one peer, with a connection and a lock of its own.

    A peer that is away stops nobody else: its failures are noted and its next try is put off.
    """

    def __init__(
        self,
        engine: Engine,
        source: str,
        sink: PeerSink,
        peer: str,
        *,
        snapshot: Snapshot,
        retry_seconds: float,
        on_set_back: Callable[[int], None],
    ) -> None:
        """Nothing connects before the first cycle.

        Args:
            engine: of the primary, whose statements are transactions of their own.
            source: the events' `source`.
            sink, peer: where to.
            snapshot: all that a peer has to know, as events.
            retry_seconds: first pause after a failure; each further one doubles it.
            on_set_back: what to do when a peer knows more of this branch than it does itself; is
                given the epoch that the peer knows.
        """
        name = state.sink_of(peer)
        super().__init__(engine, source, {name: sink})
        self._bell = _NoBell()
        self._batch = BATCH
        self._lock = RELAY_LOCK << 32 | zlib.crc32(name.encode())
        self._sink = sink
        self._name = name
        self._snapshot = snapshot
        self._retry_seconds = retry_seconds
        self._on_set_back = on_set_back
        self._failures = 0
        self._next_try = 0.0
        self._noted = float("-inf")
        self._introduced = False

    def duty(self) -> bool:
        """One round of a loop: deliver a batch, or wait a little."""
        if time.monotonic() < self._next_try:
            time.sleep(min(POLL_SECONDS, max(0.0, self._next_try - time.monotonic())))
            return False
        try:
            if self._rejoining():
                time.sleep(POLL_SECONDS)
                return False
            more = self.cycle()
        except SetBack as error:
            log.error("branch_was_set_back", detail=str(error))
            self._on_set_back(error.epoch)
            return False
        except PeerAway as error:
            self._failed(error)
            return False
        self._succeeded()
        if not more:
            time.sleep(POLL_SECONDS)
        return more

    def _rejoining(self) -> bool:
        with self._engine.connect() as connection:
            return state.of_self(connection.execute).rejoining

    def _locked_connection(self) -> Connection | None:
        connection = super()._locked_connection()
        # Under the lock: whoever delivered before has ended, or begins anew after this.
        if connection is not None and not self._introduced:
            self._sink.introduce()
            self._introduced = True
        return connection

    def _forget_connection(self) -> None:
        super()._forget_connection()
        if self._introduced:
            self._sink.begin_anew()
        self._introduced = False

    def _begin(self, connection: Connection, name: str, sink: Sink) -> None:
        # What commits from now on is delivered from the outbox; all before is in the snapshot.
        start = connection.scalar(text(_NOW))
        position = self._sink.deliver(self._snapshot(connection), None)
        connection.execute(text(_BEGIN), {"sink": name, "start": start, "position": position})
        log.info("peer_has_everything", sink=name, epoch=position)

    def _rewind(self, connection: Connection, name: str, loss: DataLost) -> None:
        connection.execute(text("DELETE FROM outbox_cursors WHERE sink = :sink"), {"sink": name})
        log.warning("peer_needs_everything", sink=name)

    def _failed(self, error: PeerAway) -> None:
        pause = self._retry_seconds * min(MOST_PAUSES, 2 ** min(self._failures, 8))
        self._failures += 1
        self._next_try = time.monotonic() + pause * (0.5 + random.random() / 2)
        self._note(failures=self._failures, error=error.detail[:200])
        log.warning("peer_away", sink=self._name, failures=self._failures, error=error.detail)

    def _succeeded(self) -> None:
        recovered = self._failures > 0
        self._failures = 0
        if recovered or time.monotonic() - self._noted > 1:
            self._noted = time.monotonic()
            last = self._checked.get(self._name)
            # Only what the peer has answered counts, not a round in which nothing was sent.
            if recovered or (last and time.monotonic() - last < POLL_SECONDS + 1):
                self._note(failures=0, error=None)

    def _note(self, **values: Any) -> None:
        with self._engine.connect() as connection:
            connection.execute(text(_NOTE), {"sink": self._name, **values})


_NOW = "SELECT CAST(pg_snapshot_xmin(pg_current_snapshot()) AS text)"
_BEGIN = """
INSERT INTO outbox_cursors (sink, low, high, position, succeeded_at)
VALUES (:sink, CAST(:start AS xid8), CAST(:start AS xid8), :position, now())
ON CONFLICT (sink) DO UPDATE SET low = EXCLUDED.low, high = EXCLUDED.high, seq = 0,
    position = EXCLUDED.position
"""
_NOTE = """
UPDATE outbox_cursors SET failures = :failures, error = :error,
    succeeded_at = CASE WHEN :failures = 0 THEN now() ELSE succeeded_at END
WHERE sink = :sink
"""
