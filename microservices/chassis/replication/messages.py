"""Questions to a peer that are answered at once, by the same door as events."""

from __future__ import annotations

import json
from typing import Any, Protocol

from chassis.clock import Clock, rfc3339
from chassis.db import Database
from chassis.events import Event
from chassis.ids import new_id
from chassis.replication import state
from chassis.replication.client import PeerClient


class Asking(Protocol):
    """What a service asks with."""

    @property
    def branch(self) -> str: ...
    @property
    def clock(self) -> Clock: ...
    @property
    def database(self) -> Database: ...


def question(ports: Asking, service: str, kind: str, data: dict[str, Any]) -> dict[str, Any]:
    """An event that expects an answer; it belongs to no epoch."""
    with ports.database.primary.connect() as connection:
        lamport = state.of_self(connection.execute).lamport
    source = f"/{ports.branch}/{service}"
    now = rfc3339(ports.clock.now())
    return Event(new_id(), source, kind, source, now, lamport, data).document()


def ask(peer: PeerClient, document: dict[str, Any], *, seconds: float) -> dict[str, Any]:
    """The result of one event at a peer (see `door`).

    Raises:
        PeerAway: no answer; it may have had its effect.
        Refused: it will never have one.
    """
    answer = peer.send(json.dumps(document).encode(), seconds=seconds)
    result: dict[str, Any] = answer["results"][0]
    return result
