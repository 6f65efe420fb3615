"""The port of tracing: what `tracing` asks of whatever makes the spans (`tracing_sdk`)."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Literal, Protocol

Kind = Literal["internal", "server", "client", "producer", "consumer"]

HEADER = "traceparent"


class Tracer(Protocol):
    """What a process traces with, once tracing is on; see `tracing_sdk`."""

    def span(
        self, name: str, kind: Kind, parent: str | None, attributes: dict[str, str]
    ) -> AbstractContextManager[object]:
        """A span around a block; an exception that leaves the block is noted in it."""

    def annotate(self, attributes: dict[str, str | int]) -> None:
        """Say more of the span at hand."""

    def traceparent(self) -> str | None:
        """The span at hand as W3C has it in a header; None outside of every span."""

    def shut_down(self) -> None:
        """Send what is left, within a bounded time."""
