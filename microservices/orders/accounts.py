"""Accounts: who may log in, and as what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, or_, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from chassis import cursors
from chassis.auth import Role
from chassis.clock import rfc3339
from chassis.ids import new_id
from chassis.problems import Conflict, NotFound
from orders import customers, passwords, sessions
from orders.account_models import User
from orders.ports import Ports

ORDER = "users"


class AlreadyRegistered(Conflict):
    slug, title = "already-registered", "The e-mail address is registered already"


class UserNotFound(NotFound):
    slug, title = "user-not-found", "No such user"


class LastAdmin(Conflict):
    """Somebody has to be able to make admins."""

    slug, title = "last-admin", "The last active admin has to stay one"


@dataclass(frozen=True)
class NewAccount:
    """What it takes to make an account; e-mail and password are normalised already."""

    email: str
    password: str
    name: str
    role: Role = "customer"


def account_document(user: User) -> dict[str, Any]:
    """The account as its owner sees it."""
    return {"id": user.id, "email": user.email, "name": user.name, "role": user.role}


def user_document(user: User) -> dict[str, Any]:
    """The account as an admin sees it."""
    return account_document(user) | {
        "active": user.active,
        "created_at": rfc3339(user.created_at),
    }


def create(ports: Ports, new: NewAccount) -> User:
    """Make an account.

    Raises:
        AlreadyRegistered: the e-mail address is taken.
        Unavailable: too many passwords are being hashed at the moment.
    """
    # Before the transaction: hashing takes long, and nothing is to be held for so long.
    password_hash = passwords.make_hash(new.password, ports.settings.bcrypt_rounds)
    user = User(
        id=new_id(),
        email=new.email,
        name=new.name,
        password_hash=password_hash,
        role=new.role,
        active=True,
        generation=1,
        created_at=ports.clock.now(),
    )
    ports.database.write(lambda session: _insert(session, ports, user))
    return user


def find(session: Session, user_id: str) -> User | None:
    """The account with this id."""
    return session.get(User, user_id)


def page(session: Session, limit: int, cursor: str | None) -> tuple[list[User], str | None]:
    """Accounts from the oldest on, and the cursor of the next page if there is one."""
    query = select(User).order_by(User.id).limit(limit + 1)
    if cursor is not None:
        (after,) = cursors.decode(cursor, ORDER, (str,))
        query = query.where(User.id > after)
    found = list(session.scalars(query))
    more = len(found) > limit
    return found[:limit], cursors.encode(ORDER, [found[limit - 1].id]) if more else None


def change(session: Session, ports: Ports, user_id: str, fields: dict[str, Any]) -> User:
    """Set role, active or name of an account.

    A new role or state calls back every access token of the account; a deactivated one is logged
    out everywhere.

    Raises:
        UserNotFound: there is no such account.
        LastAdmin: no active admin would be left; nothing was changed.
    """
    locked = _lock_with_admins(session, user_id)
    user = next((one for one in locked if one.id == user_id), None)
    if user is None:
        raise UserNotFound(f"There is no user {user_id}.")
    rights_before = (user.role, user.active)
    for name, value in fields.items():
        setattr(user, name, value)
    if "name" in fields and user.role == "customer":
        session.flush()
        customers.rename(session, ports.settings.node_name, ports.clock, user.email, user.name)
    if (user.role, user.active) == rights_before:
        return user
    if rights_before == ("admin", True) and not any(_is_active_admin(one) for one in locked):
        raise LastAdmin("No active admin would be left.")
    user.generation += 1
    user.generation_at = ports.clock.now()
    if not user.active:
        sessions.end_all(session, user.id, "deactivated", ports.clock.now())
    return user


def _insert(session: Session, ports: Ports, user: User) -> None:
    session.add(user)
    try:
        session.flush()
    except IntegrityError as error:
        raise AlreadyRegistered("This e-mail address is registered already.") from error
    if user.role == "customer":
        customers.of_account(session, ports.settings.node_name, ports.clock, user)


def _lock_with_admins(session: Session, user_id: str) -> list[User]:
    # Two admins who demote each other at once must meet here, so every change takes the same
    # rows in the same order. NO KEY: a lock that logins of these users do not wait for.
    query = (
        select(User)
        .where(or_(User.id == user_id, and_(User.role == "admin", User.active)))
        .order_by(User.id)
        .with_for_update(of=User, key_share=True)
        .execution_options(populate_existing=True)
    )
    return list(session.scalars(query))


def _is_active_admin(user: User) -> bool:
    return user.role == "admin" and user.active
