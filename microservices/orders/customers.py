"""Customers as all branches know them: by e-mail, with a name that any branch may correct.

An account is of the branch that it was made in; the customer behind it is everybody's.
"""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from chassis import outbox
from chassis.clock import Clock
from chassis.outbox import NewEvent
from chassis.problems import NotFound
from chassis.replication import shared
from chassis.replication.shared import FIRST, Edit
from orders.account_models import User
from orders.branch_models import Customer

TYPE = "customer.updated"


class CustomerNotFound(NotFound):
    slug, title = "customer-not-found", "No such customer"


def customer_document(customer: Customer) -> dict[str, Any]:
    """The customer as the contract shows it."""
    return {"email": customer.email, "name": customer.name}


def customer_event(customer: Customer, edit: Edit) -> NewEvent:
    """That a customer is who he is, by whose edit."""
    described = customer_document(customer) | {"edit": edit.document()}
    # Logs name the subjects of events, and no log names a customer.
    subject = hashlib.sha256(customer.email.encode()).hexdigest()[:32]
    return NewEvent(TYPE, subject, described)


def of_account(session: Session, branch: str, clock: Clock, user: User) -> None:
    """Make the customer behind an account; one that another branch knows stays as he is.

    Anybody may register with any e-mail address, so that says nothing of who a customer is.
    """
    placed = insert(Customer).values(email=user.email, name=user.name)
    new = placed.on_conflict_do_nothing().returning(Customer.email)
    if session.execute(new).one_or_none() is not None:
        _tell(session, branch, clock, session.get_one(Customer, user.email))


def rename(session: Session, branch: str, clock: Clock, email: str, name: str) -> Customer:
    """Correct a customer's name, wherever his account is.

    Raises:
        CustomerNotFound: there is no such customer.
    """
    customer = _lock(session, email)
    if customer is None:
        raise _unknown()
    if customer.name != name:
        customer.name = name
        _rename_account(session, customer)
        _tell(session, branch, clock, customer)
    return customer


def _tell(session: Session, branch: str, clock: Clock, customer: Customer) -> None:
    edit = shared.edited_here(session.execute, "customer", customer.email, branch)
    session.flush()
    outbox.append(session.execute, [customer_event(customer, edit)], clock)


def take(session: Session, said: dict[str, str], edit: Edit) -> bool:
    """Take over what another branch says of a customer, unless a later edit is known.

    Args:
        said: `{"email", "name"}`.
    """
    found: list[Customer] = []

    def current() -> dict[str, str] | None:
        customer = _lock(session, said["email"])
        if customer is None:
            return None
        found[:] = [customer]
        return customer_document(customer)

    if not shared.wins(session.execute, ("customer", said["email"]), edit, said, current):
        return False
    if found:
        found[0].name = said["name"]
        _rename_account(session, found[0])
    else:
        session.add(Customer(**said))
    session.flush()
    return True


def ensure(session: Session, said: dict[str, str]) -> None:
    """Make a customer that is not known here yet, older than any edit of him."""
    if session.get(Customer, said["email"]) is None:
        take(session, said, FIRST)


def page(session: Session, limit: int, after: str | None) -> list[Customer]:
    """Customers in order of e-mail."""
    query = select(Customer).order_by(Customer.email).limit(limit)
    return list(session.scalars(query.where(Customer.email > after) if after else query))


def lost(session: Session, email: str) -> list[dict[str, Any]]:
    """Edits of a customer that lost against a concurrent one.

    Raises:
        CustomerNotFound: there is no such customer.
    """
    if session.get(Customer, email) is None:
        raise _unknown()
    return shared.lost(session.execute, "customer", email)


def _unknown() -> CustomerNotFound:
    return CustomerNotFound("There is no customer with this e-mail address.")


def _rename_account(session: Session, customer: Customer) -> None:
    mine = (User.email == customer.email) & (User.role == "customer") & (User.name != customer.name)
    session.execute(update(User).where(mine).values(name=customer.name))


def _lock(session: Session, email: str) -> Customer | None:
    query = select(Customer).where(Customer.email == email).with_for_update(key_share=True)
    return session.scalars(query.execution_options(populate_existing=True)).one_or_none()
