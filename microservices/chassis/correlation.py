"""What ties the log lines of one request together, wherever its work goes on.

A request's id is bound to the log lines of the thread that serves it. It goes along with calls to
other services (`X-Request-Id`), and as `context` with the rows and events that the request writes
and the tasks that come of it; whoever goes on from there binds it again. So one id finds every line
of a purchase, and with tracing on every span (see `tracing`).

A context holds `requestid` and, with tracing on, `traceparent` (W3C), named as the members of an
event. It holds nothing personal.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import structlog

from chassis import tracing
from chassis.tracer import Kind

Context = dict[str, str]

REQUEST_ID = re.compile(r"^[A-Za-z0-9._-]{8,64}$")
_WELL_FORMED = {"requestid": REQUEST_ID, "traceparent": tracing.TRACEPARENT}

# A column that takes the context of whoever inserts the row. It is a setting of the transaction, so
# functions of the database need not be told: see `SET`.
COLUMN = "context jsonb DEFAULT CAST(nullif(current_setting('feira.context', true), '') AS jsonb)"
# Goes behind `SELECT some_function(...)`, with `dumped()` as the parameter `context`.
SET = " FROM set_config('feira.context', :context, true)"


def begin(request_id: str) -> None:
    """Bind a new request to this thread's log lines, and nothing of the one before."""
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id, **_trace())


def end() -> None:
    """What this thread logs from now on belongs to no request."""
    structlog.contextvars.clear_contextvars()


def note(**ids: str) -> None:
    """Name what the work at hand is about in the rest of its log lines, such as `order`."""
    structlog.contextvars.bind_contextvars(**ids)


def request_id() -> str | None:
    """The id of the request that the work at hand belongs to."""
    found: str | None = structlog.contextvars.get_contextvars().get("request_id")
    return found


def current() -> Context:
    """The context that goes along with what is written or sent now."""
    context: Context = {}
    if known := request_id():
        context["requestid"] = known
    if trace := tracing.traceparent():
        context["traceparent"] = trace
    return context


def dumped() -> str:
    """The same as JSON; empty when there is none."""
    context = current()
    return json.dumps(context, separators=(",", ":")) if context else ""


def read(values: Mapping[str, Any]) -> Context:
    """What is well-formed of a context in the members of an event, or in a task's headers."""
    return {
        name: value
        for name, form in _WELL_FORMED.items()
        if isinstance(value := values.get(name), str) and form.fullmatch(value)
    }


@contextmanager
def continued(context: Context | None, span: str, kind: Kind, **ids: str) -> Iterator[None]:
    """Do the work of the block on behalf of the request that a context is of.

    Args:
        context: of the row, event or task that the work comes from, if it has one.
        span: what the work is called in a trace.
        kind: of the span.
        ids: what it is about, for its log lines.
    """
    known = context or {}
    bound = {"request_id": known["requestid"]} if "requestid" in known else {}
    with (
        tracing.span(span, kind, parent=known.get("traceparent"), **ids),
        structlog.contextvars.bound_contextvars(**bound, **ids, **_trace()),
    ):
        yield


def _trace() -> dict[str, str]:
    trace = tracing.traceparent()
    return {"trace_id": trace.split("-")[1]} if trace else {}
