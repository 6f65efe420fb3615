"""What this branch knows of itself and of its peers, in one service's database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text
from sqlalchemy.engine import Engine

from chassis.branches import Peer
from chassis.clock import rfc3339

Execute = Callable[..., Any]
# After so many failures in a row a peer counts as cut off.
OPEN_AFTER = 3
SINK = "peer:"

_SELF = "SELECT epoch, rejoining, (SELECT last_value FROM lamport) AS lamport FROM branch_state"


@dataclass(frozen=True)
class Self:
    """This branch: which epoch it is in, whether it still has to hear from its peers, its clock."""

    epoch: int
    rejoining: bool
    lamport: int


def of_self(execute: Execute) -> Self:
    """This branch as this database has it."""
    row = execute(text(_SELF)).one()
    return Self(row.epoch, row.rejoining, row.lamport)


def sink_of(peer: str) -> str:
    """The name of a peer among the sinks of the outbox."""
    return SINK + peer


_PEERS = """
SELECT c.sink, c.failures, c.error, c.succeeded_at, count(o.seq) AS pending,
    coalesce(extract(epoch FROM clock_timestamp() - min(o.time)), 0) AS seconds,
    (SELECT count(*) FROM parked_events p WHERE 'peer:' || p.peer = c.sink) AS parked
FROM outbox_cursors c LEFT JOIN outbox o ON o.txid >= c.low AND o.seq > c.seq
WHERE c.sink LIKE 'peer:%' GROUP BY c.sink
"""


def peers(engine: Engine, known: Sequence[Peer]) -> dict[str, Any]:
    """For /status: how delivery to each peer goes; one that never took anything has no numbers."""
    if not known:
        return {}
    with engine.connect() as connection:
        rows = {row.sink: row for row in connection.execute(text(_PEERS))}
    return {peer.name: _peer(rows.get(sink_of(peer.name))) for peer in known}


def _peer(row: Any) -> dict[str, Any]:
    if row is None:
        return {"pending": None, "breaker": "open", "last_success": None}
    return {
        "pending": row.pending,
        "oldest_pending_seconds": round(float(row.seconds), 1),
        "last_success": rfc3339(row.succeeded_at) if row.succeeded_at else None,
        "breaker": "open" if row.failures >= OPEN_AFTER else "closed",
        "failures": row.failures,
        "error": row.error,
        "parked": row.parked,
    }


def begin_epoch(execute: Execute, above: int) -> None:
    """Go on in a later epoch than any that was heard of, and tell every peer everything anew."""
    execute(text("UPDATE branch_state SET epoch = greatest(epoch, :above) + 1"), {"above": above})
    execute(text("DELETE FROM outbox_cursors WHERE sink LIKE 'peer:%'"))


def forget_others(engine: Engine, known: Iterable[str]) -> bool:
    """One round of a loop: the outbox is not kept for who is no peer any more.

    One that becomes a peer again gets everything anew.
    """
    with engine.connect() as connection:
        sinks = [sink_of(name) for name in known]
        connection.execute(text(_FORGET), {"sinks": sinks})
    return False


_FORGET = "DELETE FROM outbox_cursors WHERE sink LIKE 'peer:%' AND NOT sink = ANY(:sinks)"
