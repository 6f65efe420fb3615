"""JSON log lines on standard output, with the request id; no secret and no personal data."""

from __future__ import annotations

import io
import logging
import sys
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict


class _Output(io.TextIOBase):
    """Standard output; when nobody reads it any more, that costs lines and never a request."""

    def write(self, text: str) -> int:
        with suppress(OSError):
            sys.stdout.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            sys.stdout.flush()


def configure(service: str, instance: str, level: str) -> None:
    """Set up structlog and the standard library's logging for one process."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    logging.basicConfig(format="%(message)s", stream=sys.stdout, level=number)
    logging.getLogger("werkzeug").setLevel(logging.WARNING)

    def say_who(logger: Any, method: str, line: EventDict) -> EventDict:
        return {"service": service, "instance": instance, **line}

    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            say_who,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(cast(TextIO, _Output())),
        cache_logger_on_first_use=True,
    )
