"""Spans of what is done, for OpenTelemetry; off unless OTEL_EXPORTER_OTLP_ENDPOINT is set.

While it is off nothing of OpenTelemetry is loaded, and a span costs a function call.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from chassis.settings import ServiceSettings
from chassis.tracer import Kind, Tracer

TRACEPARENT = re.compile(r"^[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$")

_OFF: AbstractContextManager[object] = nullcontext()
_make: Callable[[], Tracer] | None = None
_tracer: Tracer | None = None
_making = threading.Lock()


def configure(service: str, settings: ServiceSettings) -> None:
    """Have this process trace, and those that it forks, if the settings say where to.

    A tracer is made for the first span: it has a thread, and does not get over a fork.
    """
    global _make
    endpoint = settings.otel_exporter_otlp_endpoint
    if endpoint is None:
        return
    from chassis.tracing_sdk import SdkTracer

    _make = partial(SdkTracer, endpoint, service, settings.instance, settings.node_name)


def span(
    name: str, kind: Kind = "internal", *, parent: str | None = None, **attributes: str
) -> AbstractContextManager[object]:
    """A span around a block.

    Args:
        name: what is done, in few different words.
        kind: its side of a message, if it is one.
        parent: W3C `traceparent` of what it goes on from; else the span at hand.
        attributes: what it is about; nothing personal.
    """
    if _make is None:
        return _OFF
    return (_tracer or _made(_make)).span(name, kind, parent, attributes)


def _made(make: Callable[[], Tracer]) -> Tracer:
    global _tracer
    with _making:
        _tracer = _tracer or make()
    return _tracer


def annotate(**attributes: str | int) -> None:
    """Say more of the span at hand."""
    if _tracer is not None:
        _tracer.annotate(attributes)


def traceparent() -> str | None:
    """The span at hand as W3C `traceparent`, for whoever goes on from here."""
    return None if _tracer is None else _tracer.traceparent()


def shut_down() -> None:
    """Send what is left; for processes that end without Python's own end."""
    if _tracer is not None:
        _tracer.shut_down()
