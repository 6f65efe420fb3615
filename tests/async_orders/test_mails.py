"""Mails on confirmation and cancellation, through a real SMTP server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage, Message
from email.policy import default
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from chassis.clock import SystemClock, rfc3339
from chassis.events import Event
from chassis.ids import new_id
from local.stack import Stack
from local.web import free_ports
from orders import notifications
from orders.mail import MailServerAway, SmtpMailer
from orders.ports import Ports
from tests.async_orders.rig import own_ports
from tests.contract.purchases import cancel
from tests.race.rig import away, rows
from tests.shop import Account, Shop


class MovedClock:
    """The real time, moved ahead."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return SystemClock().now() + self.ahead


class MailServer:
    """A real SMTP server that keeps what it is given, and refuses what it is told to."""

    def __init__(self) -> None:
        self.mails: list[Message[str, str]] = []
        self.refuse: str | None = None
        self.port = free_ports()["port"]
        self.controller = Controller(
            self,
            hostname="127.0.0.1",
            port=self.port,
            ready_timeout=30,
            server_hostname="mail.test",
        )

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        if self.refuse:
            return self.refuse
        self.mails.append(message_from_bytes(envelope.content, policy=default))
        return "250 OK"

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"


@pytest.fixture
def mail_server(nobody_else_sends: None) -> Iterator[MailServer]:
    server = MailServer()
    server.controller.start()
    yield server
    server.controller.stop()


@pytest.fixture(scope="module")
def nobody_else_sends(stack: Stack) -> Iterator[None]:
    """Only this module's own senders send what is due."""
    with away(stack, "orders-background"):
        yield


@contextmanager
def sender(stack: Stack, url: str) -> Iterator[tuple[Ports, MovedClock]]:
    """The part of orders that sends mail, played here with this mail server."""
    clock = MovedClock()
    ports = own_ports(stack, clock, SMTP_URL=url)
    ports.database.call(
        "WITH gone AS (UPDATE mails SET sent_at = now() WHERE sent_at IS NULL RETURNING 1)"
        " SELECT count(*) FROM gone",
        {},
        repeatable=True,
    )
    try:
        yield ports, clock
    finally:
        ports.database.dispose()


def changed(order_id: str, status: str) -> Event:
    """The event that tells that an order has this status now."""
    return Event(
        id=new_id(),
        source="/matriz/orders",
        type="order.status_changed",
        subject=order_id,
        time=rfc3339(SystemClock().now()),
        lamport=1,
        data={"id": order_id, "status": status},
    )


def test_one_mail_for_each_confirmation_and_cancellation(
    stack: Stack, shop: Shop, customer: Account, mail_server: MailServer
) -> None:
    with sender(stack, mail_server.url) as (ports, _):
        order = shop.buy(customer, (shop.new_product(name="Pão de mel", stock=5)["id"], 2))
        confirmed = changed(order["id"], "confirmed")
        for event in (changed(order["id"], "pending"), confirmed, confirmed):
            notifications.on_order_event(ports, event)
        assert notifications.backlog(ports) == {"waiting": 1, "given_up": 0}
        while notifications.send_due(ports):
            pass
        cancel(shop, customer, order["id"])
        notifications.on_order_event(ports, changed(order["id"], "cancelled"))
        # The same news under another id: an event that was made twice.
        notifications.on_order_event(ports, changed(order["id"], "cancelled"))
        notifications.send_due(ports)
        notifications.send_due(ports)

        assert notifications.backlog(ports) == {"waiting": 0, "given_up": 0}
    first, second = mail_server.mails
    assert first["To"] == second["To"] == customer.email
    assert first["From"] == "Feira <pedidos@feira.local>"
    assert first["Subject"] == f"Seu pedido {order['id']} foi confirmado"
    assert second["Subject"] == f"Seu pedido {order['id']} foi cancelado"
    assert first["Message-ID"] == f"<{confirmed.id}@feira>"
    assert isinstance(first, EmailMessage)
    assert first.get_content().replace("\r\n", "\n") == (
        f"Olá, Ana Souza!\n\nSeu pedido {order['id']} foi confirmado.\n\n"
        "2 x Pão de mel\nTotal: R$ 20,00\n"
    )


def test_a_mail_server_that_is_away_is_tried_again(
    stack: Stack, shop: Shop, customer: Account, mail_server: MailServer
) -> None:
    nobody = f"smtp://127.0.0.1:{free_ports()['port']}"
    with sender(stack, nobody) as (ports, _):
        order = shop.buy(customer, (shop.new_product(stock=5)["id"], 1))
        notifications.on_order_event(ports, changed(order["id"], "confirmed"))
        for _ in range(notifications.MOST_ATTEMPTS + 2):
            with pytest.raises(MailServerAway):
                notifications.send_due(ports)
        # The loop goes on: it is no fault of this process, whose health would tell of one.
        assert notifications.send_if_taken(ports) is False
        assert notifications.backlog(ports) == {"waiting": 1, "given_up": 0}
        back = own_ports(stack, SystemClock(), SMTP_URL=mail_server.url)
        notifications.send_due(back)
        back.database.dispose()
        assert [m["To"] for m in mail_server.mails] == [customer.email]


def test_a_mail_that_is_refused_holds_up_no_other_and_is_given_up_in_the_end(
    stack: Stack, shop: Shop, customer: Account, mail_server: MailServer
) -> None:
    with sender(stack, mail_server.url) as (ports, clock):
        order = shop.buy(customer, (shop.new_product(stock=5)["id"], 1))
        notifications.on_order_event(ports, changed(order["id"], "confirmed"))
        mail_server.refuse = f"550 no mailbox {customer.email}"
        notifications.send_due(ports)
        notifications.send_due(ports)
        attempts = "SELECT attempts FROM mails WHERE order_id = %s"
        assert rows(stack, "orders", attempts, order["id"]) == [(1,)]
        mail_server.refuse = None
        other = shop.buy(customer, (shop.new_product(stock=5)["id"], 1))
        notifications.on_order_event(ports, changed(other["id"], "confirmed"))
        notifications.send_due(ports)
        assert [other["id"] in m["Subject"] for m in mail_server.mails] == [True]

        mail_server.refuse = "550 no"
        for _ in range(notifications.MOST_ATTEMPTS):
            clock.ahead += timedelta(days=2)
            notifications.send_due(ports)
        assert rows(stack, "orders", attempts, order["id"]) == [(notifications.MOST_ATTEMPTS,)]
        assert notifications.backlog(ports)["given_up"] == 1
        ports.database.call(
            "WITH gone AS (DELETE FROM mails WHERE order_id = :id RETURNING 1)"
            " SELECT count(*) FROM gone",
            {"id": order["id"]},
            repeatable=True,
        )


def test_who_dies_between_sending_and_noting_it_sends_again_under_the_same_id(
    stack: Stack,
    shop: Shop,
    customer: Account,
    mail_server: MailServer,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At least once, and no more than once too often; receivers can tell by the Message-ID."""

    class Killed(BaseException):
        pass

    def die(*_: Any, **__: Any) -> None:
        raise Killed

    with sender(stack, mail_server.url) as (ports, clock):
        order = shop.buy(customer, (shop.new_product(stock=5)["id"], 1))
        notifications.on_order_event(ports, changed(order["id"], "confirmed"))
        with monkeypatch.context() as patched, pytest.raises(Killed):
            patched.setattr(notifications, "_mark", die)
            notifications.send_due(ports)
        notifications.send_due(ports)
        assert len(mail_server.mails) == 1  # it may be at work yet: its claim has not lapsed
        clock.ahead = timedelta(seconds=notifications.CLAIM_SECONDS + 1)
        for _ in range(2):
            notifications.send_due(ports)
    assert [m["Message-ID"] for m in mail_server.mails] == [mail_server.mails[0]["Message-ID"]] * 2


def test_an_unencrypted_server_gets_no_mail_when_encryption_was_asked_for(
    mail_server: MailServer,
) -> None:
    mail = notifications.Mail(new_id(), new_id(), "confirmed", 0, "a@example.com", "Ana", [], 0)
    for scheme in ("smtp+starttls", "smtps"):
        mailer = SmtpMailer(mail_server.url.replace("smtp:", f"{scheme}:"))
        with pytest.raises(MailServerAway):
            mailer.send(notifications.message(mail, "Feira <pedidos@feira.local>"))
    assert mail_server.mails == []
