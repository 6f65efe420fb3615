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
# In the place of a start: no relay has it, so that a branch whose peers ended its epoch, and that
# did not use the answer, is found to be set back when it is heard again.
OVER = "over"

_WRITTEN = "coalesce(pg_sequence_last_value('outbox_seq_seq'), 0)"
_SELF = f"""
SELECT epoch, rejoining, (SELECT last_value FROM lamport) AS lamport, {_WRITTEN} AS written
FROM branch_state
"""


@dataclass(frozen=True)
class Self:
    """This branch.

    Attributes:
        epoch: rises when it was set back.
        rejoining: whether it still has to hear from its peers.
        lamport: its logical clock.
        written: events that its outbox ever had.
    """

    epoch: int
    rejoining: bool
    lamport: int
    written: int


def of_self(execute: Execute) -> Self:
    """This branch as this database has it."""
    row = execute(text(_SELF)).one()
    return Self(row.epoch, row.rejoining, row.lamport, row.written)


def began(execute: Execute, peer: str, start: str) -> None:
    """Note a start of the relay to a peer, unless it is the last one already."""
    execute(text(_BEGAN), {"peer": peer, "start": start})


def was_set_back(execute: Execute, peer: str, known: dict[str, Any], me: Self) -> bool:
    """Whether a peer has heard of this branch what it does not know.

    Args:
        known: how far the peer heard it: `epoch`, `start` (None: never) and `position`.
        me: this branch now.
    """
    if known["epoch"] > me.epoch:
        return True
    before = {"peer": peer, "epoch": known["epoch"]}
    if known["start"] is None or execute(text(_IS_MADE_GOOD), before).scalar():
        return False
    if known["epoch"] < me.epoch:
        # It was not asked when that epoch ended, whatever it has heard of it.
        return True
    start = {"peer": peer, "start": known["start"]}
    found = execute(text(_UNTIL), start).one_or_none()
    return found is None or known["position"] > found.until


_IS_MADE_GOOD = "SELECT EXISTS (SELECT FROM made_good WHERE peer = :peer AND epoch > :epoch)"
_BEGAN = f"""
INSERT INTO branch_starts (peer, id, position)
SELECT :peer, :start, {_WRITTEN}
WHERE :start IS DISTINCT FROM (
    SELECT id FROM branch_starts WHERE peer = :peer ORDER BY n DESC LIMIT 1)
"""
_UNTIL = f"""
SELECT coalesce((
    SELECT later.position FROM branch_starts later
    WHERE later.peer = s.peer AND later.n > s.n ORDER BY later.n LIMIT 1), {_WRITTEN}) AS until
FROM branch_starts s WHERE s.peer = :peer AND s.id = :start
"""


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


def begin_epoch(execute: Execute, above: int, peers: Iterable[str]) -> None:
    """Be in a later epoch than any that was heard of, and tell every peer everything anew.

    Args:
        above: the last epoch that is over; nothing begins when that is known already.
        peers: those whose knowledge of epochs before is made good.
    """
    if execute(text(_NEXT_EPOCH), {"above": above}).rowcount:
        execute(text("DELETE FROM outbox_cursors WHERE sink LIKE 'peer:%'"))
    execute(text(_MAKE_GOOD), {"peers": list(peers)})


_NEXT_EPOCH = "UPDATE branch_state SET epoch = :above + 1 WHERE epoch <= :above"
_MAKE_GOOD = """
INSERT INTO made_good (peer, epoch)
SELECT peer, epoch FROM branch_state, unnest(CAST(:peers AS text[])) AS peer ON CONFLICT DO NOTHING
"""


def end_epoch_of(execute: Execute, branch: str, asked: int) -> int:
    """Take nothing more of what another branch says in epochs before the one in which it asks.

    It was set back and asks what is known of it: whatever of its lost past is still on its way must
    not arrive between the answer and its next epoch. Repeating it changes nothing, and neither does
    a question that comes late, when the branch speaks in a later epoch already.

    Returns:
        The epoch of the branch that is over here; above `asked` when it is to ask again with that,
        as it was heard in a later one.
    """
    execute(text(_END_EPOCH), {"branch": branch, "asked": asked, "over": OVER})
    epoch, start = execute(text(_EPOCH_OF), {"branch": branch}).one()
    return int(epoch) if start in (None, OVER) else int(epoch) + 1


_END_EPOCH = """
UPDATE replica_sources SET epoch = :asked, position = 0,
    start = CASE WHEN start IS NOT NULL THEN :over END
WHERE branch = :branch AND epoch < :asked
"""
_EPOCH_OF = "SELECT epoch, start FROM replica_sources WHERE branch = :branch"


def forget_others(engine: Engine, known: Iterable[str]) -> bool:
    """One round of a loop: the outbox is not kept for who is no peer any more.

    One that becomes a peer again gets everything anew.
    """
    with engine.connect() as connection:
        sinks = [sink_of(name) for name in known]
        connection.execute(text(_FORGET), {"sinks": sinks})
    return False


_FORGET = "DELETE FROM outbox_cursors WHERE sink LIKE 'peer:%' AND NOT sink = ANY(:sinks)"
