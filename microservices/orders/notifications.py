"""Mails to customers when an order is confirmed or cancelled, as a consequence of its events.

The consumer only writes down that a mail is due, under the event's id, so an event that comes again
makes no second mail. The sender takes what is due, a batch at a time. A mail goes out at least
once: a process that dies before it has written down what of its batch the server took sends that
again, with the same Message-IDs.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import timedelta
from email.message import EmailMessage
from typing import Any

import structlog
from sqlalchemy import text
from sqlalchemy.orm import Session

from chassis.events import Event
from orders.mail import WAIT_SECONDS, MailRefused, MailServerAway, NullMailer
from orders.ports import Ports
from orders.probe import PROBE_EMAIL

BATCH = 20
# Whoever took a batch has so long; then what is left of it is somebody else's. No mail is begun in
# its second half, and none takes that long.
CLAIM_SECONDS = 6 * WAIT_SECONDS
# A mail that is refused is tried again after one minute, two, four … hours, and then given up.
FIRST_PAUSE_SECONDS = 60
MOST_ATTEMPTS = 10
KEPT_DAYS = 7

SUBJECTS = {
    "confirmed": "Seu pedido {id} foi confirmado",
    "cancelled": "Seu pedido {id} foi cancelado",
}

log = structlog.get_logger()


@dataclass(frozen=True)
class Mail:
    """A mail that is due: which, about what, to whom (None when there is nobody any more)."""

    event_id: str
    order_id: str
    kind: str
    attempts: int
    email: str | None
    name: str | None
    items: list[dict[str, Any]] | None
    total_cents: int | None


def on_order_event(ports: Ports, event: Event) -> None:
    """Write down the mail that an event calls for."""
    status = event.data.get("status")
    if event.type != "order.status_changed" or status not in SUBJECTS:
        return
    now = ports.clock.now()
    ports.database.call(
        """
        WITH made AS (
            INSERT INTO mails (event_id, order_id, kind, created_at, due_at)
            VALUES (:event, :order, :kind, :now, :now) ON CONFLICT DO NOTHING RETURNING 1)
        SELECT count(*) FROM made
        """,
        {"event": event.id, "order": event.subject, "kind": status, "now": now},
        repeatable=True,
    )


def send_due(ports: Ports) -> bool:
    """Send a batch of what is due; True when there may be more.

    Raises:
        MailServerAway: nobody takes mail; the rest of the batch is due again at once.
    """
    batch = ports.database.write(lambda session: _claim(ports, session))
    end = time.monotonic() + CLAIM_SECONDS / 2
    gone: list[str] = []
    try:
        for number, mail in enumerate(batch):
            if time.monotonic() > end:
                _put_back(ports, batch[number:])
                break
            try:
                if _send(ports, mail):
                    gone.append(mail.event_id)
            except MailServerAway:
                _put_back(ports, batch[number:])
                raise
    finally:
        # Together: who dies before this sends no more than this batch again.
        _mark(ports, "sent_at = :now", gone, repeatable=True, now=ports.clock.now())
    return len(batch) == BATCH


def send_if_taken(ports: Ports) -> bool:
    """As `send_due`; a server of somebody else's that is away is no fault of this process."""
    try:
        return send_due(ports)
    except MailServerAway as error:
        log.warning("mail_server_away", error=str(error))
        return False


def _claim(ports: Ports, session: Session) -> list[Mail]:
    now = ports.clock.now()
    rows = session.execute(
        text(_CLAIM),
        {
            "now": now,
            "until": now + timedelta(seconds=CLAIM_SECONDS),
            "most": MOST_ATTEMPTS,
            "limit": BATCH,
        },
    )
    return [Mail(*row) for row in rows]


_CLAIM = """
WITH due AS (
    SELECT event_id FROM mails
    WHERE sent_at IS NULL AND due_at <= :now AND attempts < :most
    ORDER BY due_at LIMIT :limit FOR UPDATE SKIP LOCKED),
claimed AS (
    UPDATE mails SET due_at = :until FROM due WHERE mails.event_id = due.event_id
    RETURNING mails.event_id, order_id, kind, attempts)
SELECT c.event_id, c.order_id, c.kind, c.attempts, u.email, u.name, o.items, o.total_cents
FROM claimed c LEFT JOIN orders o ON o.id = c.order_id LEFT JOIN users u ON u.id = o.user_id
ORDER BY c.event_id
"""


def _send(ports: Ports, mail: Mail) -> bool:
    """Whether it has not to be sent any more."""
    # Orders of the ready check are nobody's, and may be forgotten by now.
    nobodys = mail.email is None or mail.email == PROBE_EMAIL
    skipped = nobodys or isinstance(ports.mailer, NullMailer)
    try:
        if not skipped:
            ports.mailer.send(message(mail, ports.settings.mail_from))
    except MailRefused as error:
        _try_later(ports, mail, str(error))
        return False
    name = "mail_skipped" if skipped else "mail_sent"
    log.info(name, order=mail.order_id, event_id=mail.event_id, kind=mail.kind)
    return True


def _try_later(ports: Ports, mail: Mail, reason: str) -> None:
    pause = timedelta(seconds=FIRST_PAUSE_SECONDS * 2**mail.attempts)
    log.warning("mail_refused", order=mail.order_id, error=reason, attempts=mail.attempts + 1)
    later = ports.clock.now() + pause
    _mark(ports, "attempts = attempts + 1, due_at = :later", [mail.event_id], later=later)


def _put_back(ports: Ports, mails: list[Mail]) -> None:
    _mark(ports, "due_at = :now", [mail.event_id for mail in mails], now=ports.clock.now())


def _mark(
    ports: Ports, changes: str, event_ids: list[str], *, repeatable: bool = False, **values: Any
) -> None:
    if event_ids:
        ports.database.call(
            f"WITH done AS (UPDATE mails SET {changes} WHERE event_id = ANY(:ids) RETURNING 1)"
            " SELECT count(*) FROM done",
            {"ids": event_ids, **values},
            repeatable=repeatable,
        )


def message(mail: Mail, sender: str) -> EmailMessage:
    """The mail as it is sent; its Message-ID is made of the event's id."""
    found = EmailMessage()
    found["From"] = sender
    found["To"] = mail.email
    found["Subject"] = SUBJECTS[mail.kind].format(id=mail.order_id)
    found["Message-ID"] = f"<{mail.event_id}@feira>"
    found["Auto-Submitted"] = "auto-generated"
    lines = [f"{item['quantity']} x {item['name']}" for item in mail.items or []]
    found.set_content(
        "\n".join(
            [
                f"Olá, {mail.name}!",
                "",
                SUBJECTS[mail.kind].format(id=mail.order_id) + ".",
                "",
                *lines,
                f"Total: {_reais(mail.total_cents or 0)}",
            ]
        )
    )
    return found


def _reais(cents: int) -> str:
    whole, rest = divmod(cents, 100)
    return f"R$ {whole:,}".replace(",", ".") + f",{rest:02}"


def forget_sent(ports: Ports) -> bool:
    """Delete mails that were sent long ago: no event that old comes again."""
    oldest = ports.clock.now() - timedelta(days=KEPT_DAYS)
    ports.database.write(
        lambda session: session.execute(
            text("DELETE FROM mails WHERE sent_at < :t"), {"t": oldest}
        ),
        repeatable=True,
    )
    return False


def backlog(ports: Ports) -> dict[str, int]:
    """For /status: mails that are to be sent, and those that were given up."""

    def look(session: Session) -> dict[str, int]:
        row = session.execute(
            text(
                "SELECT count(*) FILTER (WHERE attempts < :most) AS waiting,"
                " count(*) FILTER (WHERE attempts >= :most) AS given_up"
                " FROM mails WHERE sent_at IS NULL"
            ),
            {"most": MOST_ATTEMPTS},
        ).one()
        return {"waiting": row.waiting, "given_up": row.given_up}

    return ports.database.read_latest(look)
