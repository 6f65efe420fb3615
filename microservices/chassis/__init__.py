"""What every Feira service needs, and no business: settings, HTTP, database, events, identity."""

import importlib
import sys


def _load_without(unused: set[str], library: str) -> None:
    """Load a library that would load others, for what no service uses, where they are there.

    structlog loads rich, for a console, and greenlet; redis loads OpenTelemetry's SDK, for metrics
    of its own. In every process of the embedded stack that would be 6 and 2 MB for nothing.
    """
    if library in sys.modules or unused & sys.modules.keys():
        return
    for name in unused:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        importlib.import_module(library)
    finally:
        for name in unused:
            del sys.modules[name]


_load_without({"rich", "greenlet"}, "structlog")
_load_without({"opentelemetry"}, "redis")
