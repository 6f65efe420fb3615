"""What every Feira service needs, and no business: settings, HTTP, database, events, identity."""

import importlib
import sys


def _load_without(unused: str, library: str) -> None:
    """Load a library that would load another one, for what no service uses, where it is there.

    structlog loads rich, for a console; redis loads OpenTelemetry's SDK, for metrics of its own. In
    every process of the embedded stack that would be 5 and 2 MB for nothing.
    """
    if library in sys.modules or unused in sys.modules:
        return
    sys.modules[unused] = None  # type: ignore[assignment]
    try:
        importlib.import_module(library)
    finally:
        del sys.modules[unused]


_load_without("rich", "structlog")
_load_without("opentelemetry", "redis")
