"""Sessions: what a login begins, a refresh carries on, and a logout ends.

A refresh token is used once: each use makes the next one. A second use means that two parties
hold it, so the whole session ends (RFC 9700, section 4.14.2).
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import structlog
from sqlalchemy import Delete, delete, select, update
from sqlalchemy.orm import Session

from chassis.ids import new_id
from chassis.problems import Unauthenticated
from orders import passwords
from orders.account_models import LoginSession, RefreshToken, User
from orders.login_limit import Attempt
from orders.ports import Ports
from orders.revocation import MARGIN_SECONDS

EndedReason = Literal["logout", "reuse", "deactivated", "password"]
SWEEP_BATCH = 1000

log = structlog.get_logger()


@dataclass(frozen=True)
class Tokens:
    """What a client is given to prove who it is for a while."""

    access_token: str
    refresh_token: str
    expires_in: int

    def document(self) -> dict[str, Any]:
        """The tokens as the contract shows them (RFC 6749, section 5.1)."""
        return {
            "access_token": self.access_token,
            "refresh_token": self.refresh_token,
            "token_type": "Bearer",
            "expires_in": self.expires_in,
        }


def log_in(ports: Ports, attempt: Attempt, email: str, password: str) -> Tokens:
    """Begin a session.

    Unknown, deactivated and wrong are one answer, and take one time.

    Raises:
        Unauthenticated: the e-mail address or the password is not right.
        TooManyRequests: too many logins failed within a minute.
        Unavailable: too many passwords are being checked at the moment.
    """
    attempt.check()
    rounds = ports.settings.bcrypt_rounds
    user = ports.database.read_primary(
        lambda session: session.scalars(select(User).where(User.email == email)).one_or_none()
    )
    known = user if user is not None and user.active else None
    with passwords.turn():
        # Again: those who had their turn before may have used up the failures that were left.
        attempt.check()
        right = passwords.matches(password, known.password_hash if known else None, rounds)
    if known is None or not right:
        attempt.failed()
        raise _wrong_credentials()
    user_id, renewed = known.id, None
    if passwords.outdated(known.password_hash, rounds):
        renewed = passwords.make_hash(password, rounds)
    # Twice would be a session that nobody uses, which does no harm.
    return ports.database.write(
        lambda session: _open(session, ports, user_id, renewed), repeatable=True
    )


def refresh(ports: Ports, presented: str) -> Tokens:
    """Carry a session on: a new access token, and a new refresh token for the one presented.

    Raises:
        Unauthenticated: the token is unknown, expired or used, or its session or user ended.
    """
    # Not repeatable: after a lost answer the same token would count as used twice.
    outcome = ports.database.write(lambda session: _rotate(session, ports, _digest(presented)))
    if isinstance(outcome, Tokens):
        return outcome
    if outcome == "reused":
        ports.revocations.refresh()
    raise Unauthenticated("The refresh token is not valid.")


def log_out(ports: Ports, presented: str) -> None:
    """End the session of a refresh token, if there is one; its access tokens end with it."""

    def end(session: Session) -> bool:
        token = session.get(RefreshToken, _digest(presented))
        if token is not None:
            _end(session, token.session_id, "logout", ports.clock.now())
        return token is not None

    if ports.database.write(end, repeatable=True):
        ports.revocations.refresh()


def end_all(session: Session, user_id: str, reason: EndedReason, now: datetime) -> None:
    """End every open session of a user."""
    session.execute(
        update(LoginSession)
        .where(LoginSession.user_id == user_id, LoginSession.ended_at.is_(None))
        .values(ended_at=now, ended_reason=reason)
    )


def sweep(ports: Ports) -> bool:
    """Forget a batch of expired refresh tokens and of sessions without any; True when there may
    be more."""
    return ports.database.write(lambda session: _sweep(session, ports), repeatable=True)


def _open(session: Session, ports: Ports, user_id: str, renewed: str | None) -> Tokens:
    # Read again: checking the password took long enough for an admin to change the account.
    user = session.get(User, user_id)
    if user is None or not user.active:
        raise _wrong_credentials()
    if renewed is not None:
        user.password_hash = renewed
    login = LoginSession(id=new_id(), user_id=user_id, created_at=ports.clock.now())
    session.add(login)
    session.flush()
    return _grant(session, ports, login.id, user)


def _rotate(
    session: Session, ports: Ports, presented: bytes
) -> Tokens | Literal["reused", "refused"]:
    now = ports.clock.now()
    # The guard of the race: of all who present a token at once, one finds it unused.
    session_id = session.scalar(
        update(RefreshToken)
        .where(
            RefreshToken.hash == presented,
            RefreshToken.used_at.is_(None),
            RefreshToken.expires_at > now,
        )
        .values(used_at=now)
        .returning(RefreshToken.session_id)
        .execution_options(synchronize_session=False)
    )
    if session_id is None:
        return _end_if_reused(session, presented, now)
    # The lock makes this and an ending of the session follow each other.
    row = session.execute(
        select(LoginSession, User)
        .join(User, User.id == LoginSession.user_id)
        .where(LoginSession.id == session_id)
        .with_for_update(of=LoginSession, key_share=True)
    ).one()
    login, user = row
    if login.ended_at is not None or not user.active:
        return "refused"
    return _grant(session, ports, login.id, user)


def _end_if_reused(
    session: Session, presented: bytes, now: datetime
) -> Literal["reused", "refused"]:
    token = session.get(RefreshToken, presented)
    if token is None or token.used_at is None:
        return "refused"
    _end(session, token.session_id, "reuse", now)
    log.warning("refresh_token_reused", session=token.session_id)
    return "reused"


def _grant(session: Session, ports: Ports, session_id: str, user: User) -> Tokens:
    now = ports.clock.now()
    token = secrets.token_urlsafe(32)
    session.add(
        RefreshToken(
            hash=_digest(token),
            session_id=session_id,
            created_at=now,
            expires_at=now + timedelta(seconds=ports.settings.refresh_token_seconds),
        )
    )
    access = ports.issuer.issue(user.id, user.role, session_id, user.generation)
    return Tokens(access, token, ports.issuer.seconds)


def _end(session: Session, session_id: str, reason: EndedReason, now: datetime) -> None:
    session.execute(
        update(LoginSession)
        .where(LoginSession.id == session_id, LoginSession.ended_at.is_(None))
        .values(ended_at=now, ended_reason=reason)
    )


def _sweep(session: Session, ports: Ports) -> bool:
    # Later than it expires by the life of an access token: as long as one may be about, its
    # session has to be there for the list of revocations.
    before = ports.clock.now() - timedelta(seconds=ports.issuer.seconds + MARGIN_SECONDS)
    expired = select(RefreshToken.hash).where(RefreshToken.expires_at < before).limit(SWEEP_BATCH)
    forgotten = (
        select(LoginSession.id)
        .where(~select(RefreshToken).where(RefreshToken.session_id == LoginSession.id).exists())
        .limit(SWEEP_BATCH)
    )
    tokens = _delete(session, delete(RefreshToken).where(RefreshToken.hash.in_(expired)))
    logins = _delete(session, delete(LoginSession).where(LoginSession.id.in_(forgotten)))
    return SWEEP_BATCH in (tokens, logins)


def _delete(session: Session, statement: Delete) -> int:
    result = session.connection().execute(statement)
    return result.rowcount


def _digest(token: str) -> bytes:
    return hashlib.sha256(token.encode()).digest()


def _wrong_credentials() -> Unauthenticated:
    return Unauthenticated("The e-mail address or the password is not right.")
