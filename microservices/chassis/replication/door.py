"""The door for what other branches send: who may say what, in which order, and what came of it.

A request holds one event or a list. It is taken in one transaction; an event that cannot be taken
is answered as `refused` and leaves nothing, the others have their effect. All effects are
idempotent: a repeated or older event changes nothing.

The answer: `{"branch", "services": {service: {"epoch", "known": {"epoch", "start", "position"}}},
"results": [{"id", "outcome", ...}]}`. `epoch` is this branch's own; `known` is how far the sender
was heard before, so that one that was set back notices.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DataError, IntegrityError
from sqlalchemy.orm import Session

from chassis.events import MOST_LAMPORT, Event
from chassis.problems import Conflict, Forbidden, Unprocessable
from chassis.replication import state

MOST_EVENTS = 500
SOURCE = re.compile(r"/([a-z0-9-]{1,32})/(catalog|orders)")
# The names of the source documents.
ALIASES = {"stock_update": "stock.updated", "order_created": "order.created"}
# Says only that its sender is there.
PING = "branch.seen"

log = structlog.get_logger()


class EpochOver(Conflict):
    """The sender went on after it was set back, or is a copy of a branch that did."""

    slug, title = "epoch-over", "The branch has begun a later epoch"


class CannotTake(Exception):
    """This event will never have an effect here; the message says why."""


@dataclass(frozen=True)
class Incoming:
    """One event from a peer.

    Attributes:
        event: with its type by our own name.
        branch, service: whose it is.
        epoch: the sender's epoch when it sent it.
        start, position: the start of the sender's relay, and how many events it had written.
    """

    event: Event
    branch: str
    service: str
    epoch: int | None
    start: str | None = None
    position: int = 0


Result = dict[str, Any]
Apply = Callable[[Session, Incoming], Result]
ApplyAll = Callable[[Session, Sequence[Incoming]], list[Result]]


def read(peer: str, body: Any) -> tuple[dict[str, list[Incoming]], list[Result]]:
    """The events of a request by service, and the results of those that are none.

    Args:
        peer: whose token it came with.
        body: one document or a list.

    Raises:
        Forbidden: an event speaks for another branch than the token's; nothing is taken.
        Unprocessable: more events than a request may hold.
    """
    documents = body if isinstance(body, list) else [body]
    if len(documents) > MOST_EVENTS:
        raise Unprocessable.field("body", f"{MOST_EVENTS} events at most")
    services: dict[str, list[Incoming]] = {}
    strange: list[Result] = []
    for document in documents:
        try:
            incoming = _incoming(document)
        except (KeyError, TypeError, ValueError) as error:
            strange.append(_no_event(document, f"not an event: {error}"))
            continue
        if incoming.branch != peer:
            log.warning("replica_refused", peer=peer, source=incoming.event.source[:100])
            raise Forbidden(f"The token is of {peer}, which may not speak for another branch.")
        services.setdefault(incoming.service, []).append(incoming)
    return services, strange


def _incoming(document: Any) -> Incoming:
    if not isinstance(document, dict):
        raise TypeError("a JSON object is needed")
    kind = str(document["type"])
    event = Event.parse(document | {"type": ALIASES.get(kind, kind)})
    source = SOURCE.fullmatch(event.source)
    if source is None:
        raise ValueError("source is not /branch/service")
    if not 1 <= len(event.id) <= 64:
        raise ValueError("id has 1 to 64 characters")
    epoch = document.get("epoch")
    if epoch is not None and (type(epoch) is not int or not 0 < epoch <= MOST_LAMPORT):
        raise ValueError(f"epoch is {epoch!r}"[:100])
    start, position = document.get("start"), document.get("position", 0)
    if not isinstance(start, str | None) or type(position) is not int or position > MOST_LAMPORT:
        raise ValueError("start and position are not those of a relay")
    return Incoming(event, source[1], source[2], epoch, start, position)


def receive(session: Session, batch: Sequence[Incoming], apply: ApplyAll) -> dict[str, Any]:
    """Give a batch of one service of one branch its effect, in the caller's transaction.

    Two batches of one branch are taken one after the other.

    Returns:
        `{"epoch", "known", "results"}`.

    Raises:
        EpochOver: the sender is of an epoch that is over; nothing is taken.
    """
    branch = batch[0].branch
    known = session.execute(text(_KNOWN), {"branch": branch}).one()
    newest = max((each.epoch or known.epoch for each in batch), default=known.epoch)
    if newest < known.epoch:
        raise EpochOver(
            f"{branch} is in epoch {known.epoch}, not {newest}.",
            known={"epoch": known.epoch},
        )
    current = [each for each in batch if each.epoch is None or each.epoch >= known.epoch]
    late = [refused(each, "of an epoch that is over") for each in batch if each not in current]
    results = apply(session, current) + late
    lamport = max(each.event.lamport for each in batch)
    last = batch[-1]
    heard = {"start": last.start, "position": last.position}
    clock = {"epoch": newest, "lamport": max(lamport, known.lamport)}
    session.execute(text(_HEARD), {"branch": branch, **clock, **heard})
    session.execute(text("SELECT observe_lamport(:seen)"), {"seen": lamport})
    before = {"epoch": known.epoch, "start": known.start, "position": known.position}
    return {"epoch": state.of_self(session.execute).epoch, "known": before, "results": results}


def take_one(session: Session, incoming: Incoming, apply: Apply) -> Result:
    """Give one event its effect; what will never have one is refused and leaves nothing."""
    try:
        with session.begin_nested():
            done = apply(session, incoming)
            session.flush()
    except (CannotTake, IntegrityError, DataError, KeyError, TypeError, ValueError) as error:
        said = str(error).splitlines()[0] if str(error) else ""
        return refused(incoming, f"{type(error).__name__}: {said}"[:300])
    return {"id": incoming.event.id, "outcome": "applied"} | done


def refused(incoming: Incoming, detail: str) -> Result:
    """The result of an event that is not taken."""
    event = incoming.event
    log.warning("replica_event_refused", event_id=event.id, type=event.type, detail=detail)
    return {"id": event.id, "outcome": "refused", "detail": detail}


def _no_event(document: Any, detail: str) -> Result:
    known = document.get("id") if isinstance(document, Mapping) else None
    return {"id": str(known)[:64], "outcome": "refused", "detail": detail[:300]}


_KNOWN = """
WITH placed AS (
    INSERT INTO replica_sources (branch, epoch, lamport) VALUES (:branch, 0, 0)
    ON CONFLICT (branch) DO UPDATE SET at = now() RETURNING epoch, lamport, start, position)
SELECT epoch, lamport, start, position FROM placed
"""
# A question says nothing of a relay. What was held back on the way is of no earlier start: a relay
# that begins has waited for the one before it to end, and asks first what is known here.
_HEARD = """
UPDATE replica_sources SET epoch = greatest(epoch, :epoch), lamport = :lamport,
    start = coalesce(:start, start),
    position = CASE WHEN :start IS NULL THEN position
        WHEN :start = start THEN greatest(position, :position) ELSE :position END
WHERE branch = :branch
"""
