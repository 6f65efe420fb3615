"""A branch that was set back, as by a backup, and how it comes to know what it had done since.

It begins with nothing to sell (`close_stock`). Each peer says what it knows of it: its stock as it
was last said, and the transfers between the two. From that, its units are what they were last said
to be, whatever they were in the backup; nothing that was sold or sent is there again. Until all
peers have answered it stays closed. Then it goes on in a new epoch, and tells them everything.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import structlog
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from catalog import transfers
from catalog.models import ClosedStock, Product, Stock, StockTransfer
from catalog.ports import Ports
from catalog.products import Branch, find, movement, stock_event
from chassis import outbox
from chassis.replication import messages, state
from chassis.replication.client import PeerAway, Refused

SECONDS = 5.0

log = structlog.get_logger()


@dataclass(frozen=True)
class Seen:
    """This branch's stock of a product, as somebody knew it at some time."""

    epoch: int
    version: int
    available: int
    sent: int
    received: int

    @property
    def own(self) -> int:
        """Units without what transfers brought or took."""
        return self.available + self.sent - self.received


def close(ports: Ports) -> bool:
    """Stop selling until all peers have said what they know; whether that was not so already."""
    row = ports.database.call(
        "SELECT close_stock(:branch, :now)",
        {"branch": ports.branch, "now": ports.clock.now()},
        repeatable=False,
    )
    if row[0]:
        log.warning("branch_closed_until_peers_have_answered")
    return bool(row[0])


def knowledge_of(session: Session, branch: str, asked: int) -> dict[str, Any]:
    """What is known here of another branch, which was set back: from now on no more becomes known.

    Args:
        asked: the epoch in which it asks.
    """
    over = state.end_epoch_of(session.execute, branch, asked)
    rows = session.execute(
        select(Product.sku, Stock)
        .join(Product, Product.id == Stock.product_id)
        .where(Stock.branch == branch, Stock.replica)
    )
    between = select(StockTransfer).where(
        (StockTransfer.from_branch == branch) | (StockTransfer.to_branch == branch)
    )
    return {
        "epoch": over,
        "lamport": state.of_self(session.execute).lamport,
        "stock": [
            {
                "sku": sku,
                "epoch": row.epoch,
                "version": row.version,
                "available": row.available,
                "sent": row.sent,
                "received": row.received,
            }
            for sku, row in rows
        ],
        "transfers": [transfers.transfer_document(each) for each in session.scalars(between)],
    }


def rejoin(ports: Ports) -> bool:
    """One round of a loop: if this branch is closed, ask all peers and open it again."""
    with ports.database.primary.connect() as connection:
        me = state.of_self(connection.execute)
    if not me.rejoining:
        return False
    answers = _ask_all(ports, me.epoch)
    above = max((answer["epoch"] for answer in answers or ()), default=me.epoch)
    if above > me.epoch:
        # Heard in later epochs than the backup knows of: these are to be over as well.
        answers = _ask_all(ports, above)
    if answers is None or any(answer["epoch"] > above for answer in answers):
        return False
    at, told = Branch(ports.branch, ports.clock), answers
    if ports.database.write(lambda session: _take_up(session, at, me, told, ports.peers)):
        log.warning("branch_rejoined", peers=list(ports.peers))
    return False


def _ask_all(ports: Ports, epoch: int) -> list[dict[str, Any]] | None:
    """What each peer knows of this branch, of which it takes no more in epochs before that one."""
    answers = []
    for peer in ports.peers.values():
        question = messages.question(ports, "catalog", "branch.rejoining", {"epoch": epoch})
        try:
            answers.append(messages.ask(peer, question, seconds=SECONDS)["answer"])
        except (PeerAway, Refused, KeyError) as error:
            log.warning("peer_has_not_answered", peer=peer.name, error=str(error)[:200])
            return None
    return answers


def _take_up(
    session: Session,
    at: Branch,
    asked: state.Self,
    answers: list[dict[str, Any]],
    peers: Iterable[str],
) -> bool:
    me = state.of_self(session.execute)
    rows = _lock_all(session, at)
    told = {row["sku"] for answer in answers for row in answer["stock"] + answer["transfers"]}
    if not me.rejoining or me.epoch != asked.epoch or told - rows.keys():
        # Products that are not in the backup come from the peers, which send everything anew.
        return False
    closed = {row.product_id: row for row in session.scalars(select(ClosedStock))}
    seen = _newest(answers)
    missed = _missed_transfers(session, at, answers)
    for sku, stock in rows.items():
        before = closed.get(stock.product_id) or _nothing(stock.product_id)
        _settle(session, at, stock, before, seen.get(sku, []), missed.get(sku, {}), me.epoch)
    session.flush()
    session.execute(
        text("SELECT observe_lamport(:seen)"),
        {"seen": max((a["lamport"] for a in answers), default=0)},
    )
    above = max([me.epoch, *(answer["epoch"] for answer in answers)])
    state.begin_epoch(session.execute, above, peers)
    session.execute(text("UPDATE branch_state SET rejoining = false"))
    for stock in rows.values():
        offer = find(session, stock.product_id, at.name)
        assert offer is not None, "a stock row has a product"
        outbox.append(session.execute, [stock_event(offer)], at.clock)
    return True


def _settle(
    session: Session,
    at: Branch,
    stock: Stock,
    before: ClosedStock,
    seen: list[Seen],
    missed: dict[str, int],
    epoch: int,
) -> None:
    """Give this branch what it has of one product, by whoever knows best.

    Args:
        stock: the row, locked.
        before: what it believed to have when it closed.
        seen: what peers know.
        missed: transfers that it did not know: id and units, negative when they left.
        epoch: the one that it closed in; that before is the one of the backup.
    """
    restored = Seen(epoch - 1, before.version, before.available, before.sent, before.received)
    best = max([restored, *seen], key=lambda each: (each.epoch, each.version))
    # Sold, given back or adjusted while it was closed, out of what arrived meanwhile.
    since = stock.available - (stock.received - before.received) + (stock.sent - before.sent)
    stock.sent += sum(-units for units in missed.values() if units < 0)
    stock.received += sum(units for units in missed.values() if units > 0)
    # What was held in the backup goes back to stock or is sold: it must not come on top.
    held = 0 if best is restored else before.held
    target = max(0, best.own + since - stock.sent + stock.received - held)
    for transfer_id, units in missed.items():
        session.add(movement(stock, at, units, "transfer", transfer_id))
    if change := target - sum(missed.values()) - stock.available:
        session.add(movement(stock, at, change, "adjust", f"rejoin:{epoch}"))
    stock.available = target
    stock.version = max(best.version, stock.version) + 1


def _nothing(product_id: int) -> ClosedStock:
    """Of a product that the backup did not have."""
    return ClosedStock(product_id=product_id, version=0, available=0, sent=0, received=0, held=0)


def _lock_all(session: Session, at: Branch) -> dict[str, Stock]:
    query = (
        select(Product.sku, Stock)
        .join(Product, Product.id == Stock.product_id)
        .where(Stock.branch == at.name)
        .order_by(Stock.product_id)
        .with_for_update(of=Stock, key_share=True)
        .execution_options(populate_existing=True)
    )
    return {row.sku: row.Stock for row in session.execute(query)}


def _newest(answers: list[dict[str, Any]]) -> dict[str, list[Seen]]:
    seen: dict[str, list[Seen]] = defaultdict(list)
    for answer in answers:
        for row in answer["stock"]:
            values = {name: int(row[name]) for name in Seen.__dataclass_fields__}
            seen[row["sku"]].append(Seen(**values))
    return seen


def _missed_transfers(
    session: Session, at: Branch, answers: list[dict[str, Any]]
) -> dict[str, dict[str, int]]:
    """Transfers that are not in the backup, by SKU: id and units, negative when they left."""
    told = {each["id"]: each for answer in answers for each in answer["transfers"]}
    known = set(session.scalars(select(StockTransfer.id).where(StockTransfer.id.in_(told))))
    missed: dict[str, dict[str, int]] = defaultdict(dict)
    for transfer_id in sorted(told.keys() - known):
        said = told[transfer_id]
        transfer = StockTransfer(
            id=transfer_id,
            sku=said["sku"],
            from_branch=said["from"],
            to_branch=said["to"],
            quantity=said["quantity"],
            state="received",
            at=at.clock.now(),
        )
        session.add(transfer)
        leaves = said["from"] == at.name
        missed[said["sku"]][transfer_id] = -said["quantity"] if leaves else said["quantity"]
    return missed
