"""Which layer of a service a sampled stack belongs to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

SERVER = "HTTP server (gunicorn)"
OWN = "own code"

# The innermost frame that is named here decides. What is in no file named here, such as json, is
# its caller's.
_LAYERS = (
    (("/gunicorn/", "chassis/worker.py"), SERVER),
    (("/urllib3/", "http/client.py", "chassis/http_client.py"), "calls between services"),
    (("/psycopg2/", "/sqlalchemy/", "chassis/db.py", "chassis/postgres.py"), "SQL client"),
    (("/redis/", "chassis/bus.py", "cart/store.py"), "Redis client"),
    (("/pydantic/", "/pydantic_core/"), "validation (pydantic)"),
    (("/flask/", "/werkzeug/", "/flask_openapi3/"), "framework (Flask)"),
    (("/jwt/", "chassis/auth.py", "chassis/trust.py", "orders/revocation.py"), "access"),
    (("/structlog/", "/logging/", "/prometheus_client/", "chassis/logs.py"), "logs and metrics"),
    (("chassis/metrics.py",), "logs and metrics"),
    (("catalog/", "cart/", "orders/", "chassis/"), OWN),
)


def layer_of(stack: str) -> str:
    """The layer of one stack: frames `name (path:line)` from the outermost, joined by `;`."""
    for frame in reversed(stack.split(";")):
        path = f"/{frame.rpartition(' (')[2]}"
        for parts, layer in _LAYERS:
            if any(part in path for part in parts):
                return layer
    return "Python itself"


def shares(lines: Iterable[str]) -> dict[str, float]:
    """Layer to its share of all samples, from `py-spy record --format raw`: stack and count.

    Nothing of no samples.
    """
    counts: Counter[str] = Counter()
    for line in lines:
        stack, _, count = line.rpartition(" ")
        if count.isdigit():
            counts[layer_of(stack)] += int(count)
    total = counts.total()
    return {layer: count / total for layer, count in counts.most_common()} if total else {}
