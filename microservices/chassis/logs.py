"""JSON log lines on standard output, with the request id; no secret and no personal data."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog
from structlog.typing import EventDict, Processor


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

    def say_who(logger: Any, method: str, line: EventDict) -> EventDict:
        return {"service": service, "instance": instance, **line}

    processors: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        say_who,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*processors, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        # A line and its end in one write: another thread's line must not come between them.
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _Output())),
        cache_logger_on_first_use=True,
    )
    _take_in_libraries(processors, number)


def _take_in_libraries(processors: Sequence[Processor], level: int) -> None:
    """Have what libraries log with the standard library be lines of JSON too."""
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=processors,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.JSONRenderer(),
        ],
    )
    handler = logging.StreamHandler(cast(TextIO, _Output()))
    handler.setFormatter(formatter)
    logging.basicConfig(handlers=[handler], level=level)
    # One line for each request, and for each connection that a failover costs.
    for talkative in ("werkzeug", "sqlalchemy.pool"):
        logging.getLogger(talkative).setLevel(logging.WARNING)
