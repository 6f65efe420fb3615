"""Every setting of the embedded stack, read once from the environment (and nowhere else)."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, SecretStr, ValidationError, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from local.errors import StackError

REPOSITORY = Path(__file__).resolve().parent.parent

Port = Annotated[int, Field(ge=1, le=65535)]

# Defaults of the ports; all of them move together with PORT, so that a second clone needs one.
PORTS: dict[str, int] = {
    "port": 8080,
    "tls_port": 8443,
    "catalog_1_port": 5001,
    "catalog_2_port": 5011,
    "cart_port": 5002,
    "orders_port": 5003,
    "postgres_1_port": 5541,
    "postgres_2_port": 5542,
    "patroni_1_port": 5543,
    "patroni_2_port": 5544,
    "etcd_1_port": 5545,
    "etcd_2_port": 5546,
    "redis_carts_port": 5551,
    "redis_streams_port": 5552,
    "supervisor_port": 5561,
}


def _moved(description: str, name: str) -> Any:
    return Field(PORTS[name], description=f"{description} (its default moves with PORT)")


class GatewaySettings(BaseSettings):
    """Limits of the gateway; each is the placeholder of the same name in its template."""

    listen_address: str = Field("127.0.0.1", description="Address of both ports of the gateway")
    worker_processes: int = Field(2, ge=1, description="Worker processes of the gateway")
    read_timeout_seconds: int = Field(5, ge=1, description="Longest wait for catalog and cart")
    orders_timeout_seconds: int = Field(20, ge=1, description="Longest wait for orders")
    client_timeout_seconds: int = Field(10, ge=1, description="Longest silence of a slow client")
    rate_per_second: int = Field(200, ge=1, description="Requests per second from one address")
    rate_burst: int = Field(400, ge=0, description="Requests above that rate at once")
    login_rate_per_minute: int = Field(300, ge=1, description="Logins per minute, one address")
    login_burst: int = Field(60, ge=0, description="Logins above that rate at once")
    account_rate_per_minute: int = Field(
        600, ge=1, description="Registrations and refreshes per minute from one address"
    )
    account_burst: int = Field(120, ge=0, description="Those above that rate at once")
    connections_per_address: int = Field(512, ge=1, description="Connections from one address")
    checkouts_at_once: int = Field(64, ge=1, description="Checkouts under way, of all addresses")
    cache_seconds: int = Field(1, ge=1, description="Life of public catalog answers in the cache")


class Settings(GatewaySettings):
    """The environment variable of a setting is its name in upper case."""

    model_config = SettingsConfigDict(env_ignore_empty=True, extra="ignore", frozen=True)

    feira_home: Path = Field(REPOSITORY / ".feira", description="Where data, logs and secrets live")
    port: Port = Field(PORTS["port"], description="Gateway, HTTP")
    tls_port: Port = _moved("Gateway, HTTPS", "tls_port")
    catalog_1_port: Port = _moved("First catalog instance", "catalog_1_port")
    catalog_2_port: Port = _moved("Second catalog instance", "catalog_2_port")
    cart_port: Port = _moved("Cart service", "cart_port")
    orders_port: Port = _moved("Orders service", "orders_port")
    postgres_1_port: Port = _moved("First PostgreSQL node", "postgres_1_port")
    postgres_2_port: Port = _moved("Second PostgreSQL node", "postgres_2_port")
    patroni_1_port: Port = _moved("Patroni of the first node", "patroni_1_port")
    patroni_2_port: Port = _moved("Patroni of the second node", "patroni_2_port")
    etcd_1_port: Port = _moved("etcd, for the first node", "etcd_1_port")
    etcd_2_port: Port = _moved("etcd, for the second node", "etcd_2_port")
    redis_carts_port: Port = _moved("Redis for carts", "redis_carts_port")
    redis_streams_port: Port = _moved("Redis for events and tasks", "redis_streams_port")
    supervisor_port: Port = _moved("Control port of the supervisor", "supervisor_port")

    node_name: str = Field("matriz", description="Name of this branch")
    peers: str = Field("", description="Other branches: filial=https://filial.example,...")
    replica_token: SecretStr = Field(
        SecretStr(""), description="Secret shared with the only other branch"
    )
    replica_tokens: SecretStr = Field(
        SecretStr(""), description="One secret for each other branch: filial=...,loja=..."
    )
    log_level: str = Field("info", description="Log level of the services")
    seed_demo: bool = Field(True, description="Load the demo shop and its accounts")
    admin_email: str = Field("admin@feira.local", description="E-mail of the first administrator")
    admin_password: SecretStr | None = Field(
        None,
        description="Password of the first administrator, made up at first start when unset",
    )
    postgres_shared_buffers: str = Field("64MB", description="Buffer cache of each PostgreSQL")
    redis_carts_maxmemory: str = Field("256mb", description="Most memory that carts may take")
    start_seconds: float = Field(90, gt=0, description="How long one process may take to be ready")
    service_environment: dict[str, str] = Field(
        default_factory=dict,
        description="JSON object of variables given to every service",
    )
    feira_started: float | None = Field(
        None, description="Unix time at which the start began, set by the Makefile"
    )

    @model_validator(mode="before")
    @classmethod
    def _move_ports(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Shift the ports nobody chose by as much as PORT is away from its default."""
        port = str(values.get("port", PORTS["port"]))
        shift = int(port) - PORTS["port"] if port.isdigit() else 0
        for name, default in PORTS.items():
            if name not in values and shift and 1024 <= default + shift <= 65535:
                values[name] = default + shift
        return values

    @field_validator("feira_home")
    @classmethod
    def _absolute(cls, home: Path) -> Path:
        return home.expanduser().absolute()

    @model_validator(mode="after")
    def _ports_differ(self) -> Settings:
        seen: dict[int, str] = {}
        for name in PORTS:
            port = getattr(self, name)
            if port in seen:
                raise ValueError(f"{seen[port].upper()} and {name.upper()} are both {port}")
            seen[port] = name
        return self

    @property
    def data(self) -> Path:
        """What must survive a stop."""
        return self.feira_home / "data"

    @property
    def logs(self) -> Path:
        """One log for each process, rotated."""
        return self.feira_home / "logs"

    @property
    def run(self) -> Path:
        """Files written anew at every start."""
        return self.feira_home / "run"

    @property
    def ports(self) -> dict[str, int]:
        """Setting name to port, for all that listens."""
        return {name: getattr(self, name) for name in PORTS}


def read_settings(**values: Any) -> Settings:
    """Settings from the environment; `values` win. Raises StackError naming the wrong variable."""
    try:
        return Settings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"]).upper()
        text = str(first["msg"]).removeprefix("Value error, ")
        raise StackError(f"{name}: {text}" if name else text) from None


def inherited_environment() -> dict[str, str]:
    """The caller's environment without what would steer our own servers and clients.

    libpq obeys every PG* variable, Patroni and etcd theirs, Python its own, and a proxy has no
    business on loopback.
    """
    servers = ("PG", "PATRONI", "ETCD", "FLASK_", "GUNICORN_")
    tools = ("PYTHON", "MAKE", "MFLAGS", "VIRTUAL_ENV")
    proxies = {"http_proxy", "https_proxy", "all_proxy", "ftp_proxy"}
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(servers + tools) and name.lower() not in proxies
    }
