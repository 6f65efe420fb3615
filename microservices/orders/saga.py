"""The checkout saga: reserve, pay, confirm; on failure the compensations in reverse.

`order.step` says what is to be done next, so a saga goes on from wherever a crash left it, in
whichever process takes it over. Every call to another service is idempotent by the order's id,
every write is fenced by the order's version, and no transaction is open during a call.
"""

from __future__ import annotations

import random
import time
from dataclasses import dataclass, field
from typing import Any

import structlog

from chassis import deadline, tracing
from chassis.consistency import TOKEN_HEADER
from chassis.http_client import Answer as Answered
from chassis.http_client import NoAnswer, Unreachable
from chassis.problems import Unavailable
from orders import leases
from orders.history import Answer, Entry, advance
from orders.order import Order
from orders.payment import Charge, PaymentDeclined, PaymentFailed, PaymentUnknown
from orders.ports import Ports

RETRY_PAUSE = 0.05

log = structlog.get_logger()


@dataclass(frozen=True)
class Run:
    """One pass over a saga by one worker, within the deadline of the work at hand.

    Attributes:
        ports: the process's infrastructure.
        attempt: how often the saga's present step was begun before, counting from 1.
        forward: finish the order if possible; otherwise undo it.
        catalog_tokens: what the catalog answered when stock was moved.
    """

    ports: Ports
    attempt: int = 1
    forward: bool = True
    catalog_tokens: list[str] = field(default_factory=list)

    def remember_token(self, answer: Answered) -> None:
        """Keep the catalog's consistency token, for the answer to whoever waits."""
        if token := answer.headers.get(TOKEN_HEADER):
            self.catalog_tokens.append(token)


def run(this: Run, order: Order) -> Order:
    """Bring an order as far as it goes now: to its end, or to a step that must wait.

    Raises:
        LeaseLost: another worker took it over.
    """
    if not this.forward and order.step in ("reserve", "pay"):
        order = _undo(this, order, [], gave_up())
    steps = {"reserve": _reserve, "pay": _pay, "compensate": _compensate}
    while order.step != "done":
        with tracing.span(f"saga {order.step}", order=order.id):
            order = steps[order.step](this, order)
        if order.lease_until <= this.ports.clock.now():  # given up: the recovery goes on from here
            break
    return order


def _reserve(this: Run, order: Order) -> Order:
    try:
        answer = this.ports.holds.reserve(order)
    except Unavailable as error:
        return _not_reserved(this, order, error)
    if answer.status == 201:
        this.remember_token(answer)
        return _reserved(this, order, answer.body["lines"])
    failure = dict(answer.body) | {"final": answer.status == 409}
    entry = Entry("reserve", "refused", this.attempt, str(failure.get("detail", "")))
    if answer.status == 409 and failure.get("type", "").endswith("insufficient-stock"):
        return fail(this, order, [entry], failure)
    return _undo(this, order, [entry], _unavailable("The catalog refused the reservation."))


def _not_reserved(this: Run, order: Order, error: Unavailable) -> Order:
    unsent = isinstance(error, Unreachable)
    outcome = "failed" if unsent else "unknown"
    detail = "the catalog could not be reached" if unsent else "no answer from the catalog"
    entry = Entry("reserve", outcome, this.attempt, detail)
    if order.asynchronous:
        # Nobody waits for the answer, and asking again with the same id has one effect.
        return wait(this, order, [entry])
    if unsent:
        # There is nothing to release: the order ends here, and trying again with the same key
        # starts afresh.
        return fail(this, order, [entry], _unavailable("The catalog cannot be reached."))
    # It may still arrive: the release leaves a tombstone that refuses it then. The shopper does not
    # wait for the release from a catalog that says nothing.
    failure = _unavailable("The catalog did not answer in time.")
    return _undo(this, order, [entry], failure, later=isinstance(error, NoAnswer))


def _reserved(this: Run, order: Order, lines: list[dict[str, Any]]) -> Order:
    # The catalog's prices at this moment are the ones that are charged, whatever the cart said.
    items = [
        {
            "product_id": line["product_id"],
            "name": line["name"],
            "quantity": line["quantity"],
            "unit_price_cents": line["unit_price_cents"],
        }
        for line in lines
    ]
    changes = {
        "status": "reserved",
        "step": "pay",
        "items": items,
        "total_cents": sum(i["quantity"] * i["unit_price_cents"] for i in items),
        "currency": lines[0]["currency"],
    }
    entries = [Entry("reserve", "succeeded", this.attempt), Entry("pay", "started")]
    return advance(this.ports, order, changes, entries)


def _pay(this: Run, order: Order) -> Order:
    charge = Charge(order.id, order.total_cents, order.currency, order.payment["token"])
    entries: list[Entry] = []
    most = this.ports.settings.payment_attempts
    for attempt in range(1, most + 1):
        timeout = min(this.ports.settings.payment_timeout_seconds, deadline.remaining())
        try:
            this.ports.payment.charge(charge, timeout)
            return _confirm(this, order, [*entries, Entry("pay", "succeeded", attempt)])
        except PaymentDeclined as error:
            entries.append(Entry("pay", "refused", attempt, str(error)))
            return _undo(this, order, entries, _problem(402, "payment-declined", str(error)))
        except PaymentUnknown as error:
            entries.append(Entry("pay", "unknown", this.attempt, str(error)))
            if this.attempt >= most:
                return _undo(this, order, entries, _unavailable("The payment did not answer."))
            return _wait_for_payment(this, order, entries)
        except PaymentFailed as error:
            entries.append(Entry("pay", "failed", attempt, str(error)))
            time.sleep(min(deadline.remaining(), RETRY_PAUSE * 2**attempt * random.random()))
    return _undo(this, order, entries, _problem(502, "payment-error", "The payment failed."))


def _wait_for_payment(this: Run, order: Order, entries: list[Entry]) -> Order:
    # The money may have been taken. Stock stays held, and the recovery asks again later.
    return wait(this, order, entries, {"status": "pending"})


def wait(
    this: Run, order: Order, entries: list[Entry], changes: dict[str, Any] | None = None
) -> Order:
    """Leave the order's present step for later; every attempt makes the pause twice as long."""
    return advance(this.ports, order, (changes or {}) | _later(this), entries)


def _confirm(this: Run, order: Order, entries: list[Entry]) -> Order:
    changes = {"status": "confirmed", "step": "done", "payment": _without_token(order)}
    document = order.after(changes).document()
    return advance(
        this.ports,
        order,
        changes,
        [*entries, Entry("confirm", "succeeded")],
        paid="captured",
        answer=Answer(201, document),
    )


def _undo(
    this: Run,
    order: Order,
    entries: list[Entry],
    failure: dict[str, Any],
    *,
    later: bool = False,
) -> Order:
    changes = {"step": "compensate", "failure": failure} | (_later(this) if later else {})
    return advance(this.ports, order, changes, [*entries, Entry("release", "started")])


def _compensate(this: Run, order: Order) -> Order:
    try:
        refunded = this.ports.payment.cancel(order.id)
        this.remember_token(this.ports.holds.release(order.id))
    except (Unavailable, PaymentFailed, PaymentUnknown) as error:
        # That money went back is told once, with the step that ends it, however often it is tried.
        entries = [Entry("release", "failed", this.attempt, str(error))]
        return advance(this.ports, order, _later(this), entries)
    entries = [
        Entry("refund", "succeeded" if refunded else "not needed", this.attempt),
        Entry("release", "succeeded", this.attempt),
    ]
    if order.status == "cancelled":
        changes = {"step": "done", "payment": _without_token(order)}
        return advance(this.ports, order, changes, entries, paid="refunded" if refunded else None)
    assert order.failure is not None, "an order is undone for a reason"
    return fail(this, order, entries, order.failure, refunded)


def _later(this: Run) -> dict[str, Any]:
    """What leaves an order to the recovery, with growing pauses."""
    return {
        "lease_until": this.ports.clock.now(),
        "retry_at": leases.pause(this.ports, this.attempt),
    }


def fail(
    this: Run,
    order: Order,
    entries: list[Entry],
    failure: dict[str, Any],
    refunded: bool = False,
) -> Order:
    """End the order without a sale, once nothing of it is left to undo."""
    changes = {
        "status": "failed",
        "step": "done",
        "failure": failure,
        "payment": _without_token(order),
    }
    # A refusal is the key's final answer. When it was only that something was away, the key is
    # free again: the same request may be sent once more and succeed.
    final = failure.get("final", True)
    document = {k: v for k, v in failure.items() if k != "final"}
    return advance(
        this.ports,
        order,
        changes,
        [*entries, Entry("fail", "succeeded", detail=str(failure.get("detail", "")))],
        paid="refunded" if refunded else None,
        answer=Answer(int(failure["status"]), document) if final else "free",
    )


def _without_token(order: Order) -> dict[str, Any]:
    return {"method": order.payment["method"]}


def _problem(status: int, slug: str, detail: str, *, final: bool = True) -> dict[str, Any]:
    titles = {
        402: "Payment declined",
        502: "Payment provider error",
        503: "Temporarily unavailable",
    }
    return {
        "type": f"/problems/{slug}",
        "title": titles[status],
        "status": status,
        "detail": detail,
        "final": final,
    }


def _unavailable(detail: str) -> dict[str, Any]:
    return _problem(503, "checkout-unfinished", detail, final=False)


def gave_up() -> dict[str, Any]:
    """Why an order is undone that nobody could finish for too long."""
    return _unavailable("The checkout was interrupted for too long.")
