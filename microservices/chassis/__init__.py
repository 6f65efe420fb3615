"""What every Feira service needs, and no business: settings, HTTP, database, events, identity."""

import importlib
import sys


def _load_structlog_alone() -> None:
    # structlog loads rich where it is installed, for a console that no service has. In every
    # process of the embedded stack that would be 5 MB for nothing.
    if "structlog" in sys.modules or "rich" in sys.modules:
        return
    sys.modules["rich"] = None  # type: ignore[assignment]
    try:
        importlib.import_module("structlog")
    finally:
        del sys.modules["rich"]


_load_structlog_alone()
