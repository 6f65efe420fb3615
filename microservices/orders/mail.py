"""The mail port: an SMTP server, a folder, or nobody."""

from __future__ import annotations

import smtplib
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from email.message import EmailMessage
from pathlib import Path
from typing import Protocol
from urllib.parse import SplitResult, unquote, urlsplit

PORTS = {"smtp": 25, "smtp+starttls": 587, "smtps": 465}
# For connecting, and for each answer of the server.
WAIT_SECONDS = 10.0


class MailServerAway(Exception):
    """Nobody takes mail now; nothing is wrong with the mail."""


class MailRefused(Exception):
    """This mail was refused; another one may be taken."""


class Mailer(Protocol):
    """Hands mails on."""

    def send(self, message: EmailMessage) -> None:
        """Hand one mail on; it is out of our hands when this returns.

        Raises:
            MailServerAway: try later, all of them.
            MailRefused: try this one later, or give it up.
        """


class SmtpMailer:
    """Sends by an SMTP server, one connection for each mail."""

    def __init__(self, url: str) -> None:
        """Nothing connects before the first mail.

        Args:
            url: smtp:// (plain, for a relay nearby), smtp+starttls:// (encrypted, or not at all) or
                smtps:// (encrypted from the start), with user and password percent-encoded. The
                server's certificate is verified.
        """
        self._url = urlsplit(url)

    def send(self, message: EmailMessage) -> None:
        """See `Mailer`."""
        try:
            with _session(self._url) as server:
                server.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            codes = sorted({code for code, _ in error.recipients.values()})
            # What the server says of a recipient may hold the address: only its code is kept.
            raise MailRefused(f"recipient refused: {codes}") from None
        except (smtplib.SMTPSenderRefused, smtplib.SMTPDataError) as error:
            raise MailRefused(f"refused: {error.smtp_code}") from None
        except (OSError, smtplib.SMTPException) as error:
            raise MailServerAway(type(error).__name__) from None


@contextmanager
def _session(url: SplitResult) -> Iterator[smtplib.SMTP]:
    host, port = url.hostname or "", url.port or PORTS[url.scheme]
    context = ssl.create_default_context()
    server: smtplib.SMTP
    if url.scheme == "smtps":
        server = smtplib.SMTP_SSL(host, port, timeout=WAIT_SECONDS, context=context)
    else:
        server = smtplib.SMTP(host, port, timeout=WAIT_SECONDS)
    with server:
        if url.scheme == "smtp+starttls":
            server.starttls(context=context)
        if url.username:
            server.login(unquote(url.username), unquote(url.password or ""))
        yield server


class FileMailer:
    """Writes mails into a folder that only its owner reads; one sent again replaces itself."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def send(self, message: EmailMessage) -> None:
        """See `Mailer`."""
        name = message["Message-ID"].strip("<>").partition("@")[0]
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            unfinished = self._folder / f".{name}"
            unfinished.touch(mode=0o600)
            unfinished.write_bytes(message.as_bytes())
            unfinished.replace(self._folder / f"{name}.eml")
        except OSError as error:
            raise MailServerAway(f"the folder cannot be written: {error.strerror}") from None


class NullMailer:
    """Takes every mail and forgets it."""

    def send(self, message: EmailMessage) -> None:
        """See `Mailer`."""


def mailer(smtp_url: str | None, folder: Path | None) -> Mailer:
    """The mailer that the settings ask for: SMTP, else the folder, else none."""
    if smtp_url:
        return SmtpMailer(smtp_url)
    return FileMailer(folder) if folder else NullMailer()
