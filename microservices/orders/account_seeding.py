"""The accounts that a fresh system starts with."""

from __future__ import annotations

from dataclasses import dataclass

import structlog
from pydantic import TypeAdapter, ValidationError
from sqlalchemy import select
from sqlalchemy.orm import Session

from chassis.auth import Role
from orders import accounts, passwords, sessions
from orders.account_models import User
from orders.account_schemas import Email, normal_password
from orders.accounts import NewAccount
from orders.ports import Ports
from orders.settings import Settings

PROBE_EMAIL = "sonda@feira.local"
DEMO_OPERATOR_EMAIL = "operador@feira.local"
DEMO_CUSTOMER_EMAIL = "cliente@feira.local"

log = structlog.get_logger()


@dataclass(frozen=True)
class _Wanted:
    setting: str
    email: str
    password: str | None
    name: str
    role: Role


def seed(ports: Ports) -> int:
    """Make the accounts that are missing, and bring changed passwords of the others up to date.

    Role and state of an account that exists stay as its admins left them.

    Returns:
        How many accounts were made.

    Raises:
        SystemExit: one line that names a setting that cannot be used.
    """
    made = 0
    for wanted in _wanted(ports.settings):
        account = _account(wanted)
        if account is not None:
            made += _ensure(ports, account)
    return made


def _wanted(settings: Settings) -> list[_Wanted]:
    wanted = [
        _Wanted("ADMIN", settings.admin_email, settings.admin_password, "Administração", "admin"),
        _Wanted("PROBE", PROBE_EMAIL, settings.probe_password, "Sonda", "customer"),
    ]
    if settings.seed_demo:
        demo = settings.demo_password
        wanted += [
            _Wanted("DEMO", DEMO_OPERATOR_EMAIL, demo, "Operadora da Feira", "operator"),
            _Wanted("DEMO", DEMO_CUSTOMER_EMAIL, demo, "Cliente da Feira", "customer"),
        ]
    return wanted


def _account(wanted: _Wanted) -> NewAccount | None:
    if wanted.password is None:
        log.info("account_not_seeded", missing=f"{wanted.setting}_PASSWORD")
        return None
    try:
        email = TypeAdapter(Email).validate_python(wanted.email)
    except ValidationError:
        raise SystemExit(f"cannot seed: {wanted.setting}_EMAIL is not an e-mail address") from None
    try:
        password = normal_password(wanted.password)
    except ValueError as error:
        raise SystemExit(f"cannot seed: {wanted.setting}_PASSWORD {error}") from None
    return NewAccount(email, password, wanted.name, wanted.role)


def _ensure(ports: Ports, wanted: NewAccount) -> bool:
    rounds = ports.settings.bcrypt_rounds
    user = ports.database.read_primary(
        lambda session: session.scalars(
            select(User).where(User.email == wanted.email)
        ).one_or_none()
    )
    if user is None:
        accounts.create(ports, wanted)
        return True
    if user.role != wanted.role:
        log.warning("seeded_account_has_another_role", user=user.id, role=user.role)
    with passwords.turn():
        same = passwords.matches(wanted.password, user.password_hash, rounds)
    if not same:
        user_id, password_hash = user.id, passwords.make_hash(wanted.password, rounds)
        ports.database.write(
            lambda session: _set_password(session, ports, user_id, password_hash),
            repeatable=True,
        )
    return False


def _set_password(session: Session, ports: Ports, user_id: str, password_hash: str) -> None:
    now = ports.clock.now()
    user = session.get_one(User, user_id, with_for_update={"key_share": True})
    user.password_hash = password_hash
    user.generation += 1
    user.generation_at = now
    # Whoever logged in with the old password is out.
    sessions.end_all(session, user_id, "password", now)
