"""The orders service with a place to die before and after every row and call of the saga.

Runs instead of `orders.app` in the rehearsals of this folder; what orders does is its own code.
Only its three doors to the world are wrapped: database, other services, payment provider. A plan
is a file named like the process, which holds one point such as `after reserve`. Whoever crosses
that point takes the plan away and kills its own process (SIGKILL).
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from flask_openapi3 import OpenAPI
from sqlalchemy import Row
from sqlalchemy.orm import Session

from chassis.db import Database
from chassis.http_client import Answer, ServiceClient
from orders import app, infrastructure
from orders.payment import Charge, PaymentDeclined, PaymentUnknown, SimulatedGateway

Result = TypeVar("Result")
PLAN = Path(os.environ["CRASH_PLANS"]) / os.environ["INSTANCE"]
CALLS = {("cart", "GET"): "cart", ("catalog", "POST"): "reserve", ("catalog", "DELETE"): "release"}
# How long a late provider is late after orders stopped waiting.
LATE_SECONDS = 0.3


@contextmanager
def crossing(name: str) -> Iterator[None]:
    """What is done inside is between `before name` and `after name`."""
    _die_if_planned(f"before {name}")
    yield
    _die_if_planned(f"after {name}")


def _die_if_planned(point: str) -> None:
    with suppress(FileNotFoundError):
        if PLAN.read_text("utf-8") == point:
            PLAN.unlink()  # of several that are here at once, one
            os.kill(os.getpid(), signal.SIGKILL)


class MortalDatabase(Database):
    """Orders' database; each row of the saga is a point to die at."""

    def call(self, sql: str, parameters: Mapping[str, Any], *, repeatable: bool) -> Row[Any]:
        with crossing(_row_of(sql, parameters)):
            return super().call(sql, parameters, repeatable=repeatable)

    def write(self, work: Callable[[Session], Result], *, repeatable: bool = False) -> Result:
        name = getattr(work, "__qualname__", "")
        with crossing("take over" if name.startswith(TAKES_OVER) else "another row"):
            return super().write(work, repeatable=repeatable)


TAKES_OVER = ("take_over.", "sweep.")


def _row_of(sql: str, parameters: Mapping[str, Any]) -> str:
    """Which step's row a statement writes."""
    if "open_order" in sql:
        return "open"
    if "advance_order" not in sql:
        return "another row"
    changes = json.loads(parameters["changes"])
    if changes.get("step") == "compensate":
        return "cancel" if changes.get("status") == "cancelled" else "undo"
    if changes.get("step") == "pay":
        return "reserved"
    if changes.get("step") == "done":
        return {"confirmed": "confirm", "failed": "fail"}.get(changes.get("status"), "cancelled")
    return "wait" if "retry_at" in changes else "another row"


class MortalClient(ServiceClient):
    """A client of another service; each call of the saga is a point to die at."""

    def call(self, method: str, path: str, **options: Any) -> Answer:
        with crossing(CALLS.get((self.name, method), "another call")):
            return super().call(method, path, **options)


class StrangeGateway(SimulatedGateway):
    """The simulated provider with a few more tokens, for answers that a test cannot wait for.

    tok_late: says nothing, and takes the money a little later.
    tok_after_cancel: never says anything, and tries to take the money once it was told to cancel.
    tok_twice: is asked twice for each charge, as by a network that repeats what it carries.
    """

    def charge(self, charge: Charge, timeout: float) -> None:
        with crossing("charge"):
            self._charge(charge, timeout)

    def cancel(self, order_id: str) -> bool:
        with crossing("refund"):
            return super().cancel(order_id)

    def _charge(self, charge: Charge, timeout: float) -> None:
        honest = replace(charge, token="tok_ok")
        if charge.token == "tok_twice":
            super().charge(honest, timeout)
            super().charge(honest, timeout)
        elif charge.token == "tok_late" and self._knows(charge.order_id):
            super().charge(honest, timeout)
        elif charge.token in ("tok_late", "tok_after_cancel"):
            wait = self._cancelled if charge.token == "tok_after_cancel" else _a_moment
            taking = threading.Thread(target=self._take, args=(honest, timeout, wait), daemon=True)
            taking.start()
            time.sleep(timeout)
            raise PaymentUnknown("the provider did not answer in time")
        else:
            super().charge(charge, timeout)

    def _take(self, charge: Charge, timeout: float, wait: Callable[[str], None]) -> None:
        time.sleep(timeout)
        wait(charge.order_id)
        with suppress(PaymentDeclined):
            super().charge(charge, timeout)

    def _cancelled(self, order_id: str) -> None:
        while not self._knows(order_id):
            time.sleep(0.05)

    def _knows(self, order_id: str) -> bool:
        query = "SELECT count(*) FROM simulated_charges WHERE order_id = :id"
        return bool(self._database.call(query, {"id": order_id}, repeatable=True)[0])


def _a_moment(_: str) -> None:
    time.sleep(LATE_SECONDS)


def create_app() -> OpenAPI:
    """Orders, with its doors wrapped."""
    infrastructure.Database = MortalDatabase  # type: ignore[misc]
    infrastructure.ServiceClient = MortalClient  # type: ignore[misc]
    infrastructure.SimulatedGateway = StrangeGateway  # type: ignore[misc]
    return app.create_app()
