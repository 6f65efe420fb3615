"""Settings that all services share, and the one way to read the environment.

A setting is defined once, with name, type, default and description. A required one that is
missing or weak stops the start with one line that names it.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import Field, StringConstraints, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from chassis.branches import Peer, read_tokens, read_urls

Secret = Annotated[str, StringConstraints(min_length=32)]
Url = Annotated[str, StringConstraints(min_length=8, pattern=r"^[a-z][a-z0-9+]*://")]
BusUrl = Annotated[str, StringConstraints(pattern=r"^(rediss?|kafka)://[^/\s]")]
HttpUrl = Annotated[str, StringConstraints(pattern=r"^https?://[^,\s]+$")]
Address = Annotated[str, StringConstraints(pattern=r"^[^:\s]+:\d+$")]
Urls = Annotated[str, StringConstraints(pattern=r"^https?://[^,\s]+(,https?://[^,\s]+)*$")]


class ServiceSettings(BaseSettings):
    """What every service is told by its environment."""

    model_config = SettingsConfigDict(extra="ignore", frozen=True)

    node_name: str = Field(
        "matriz", pattern="^[a-z0-9-]{1,32}$", description="Name of this branch of the marketplace."
    )
    instance: str = Field("local", description="Name of this process in logs and /status.")
    log_level: str = Field("info", description="debug, info, warning or error.")
    service_token: Secret = Field(
        description="Shared by the services; sent as X-Service-Token on internal routes."
    )
    event_bus_url: BusUrl = Field(
        description="What carries events: redis://… (Redis Streams) or kafka://host:9092,…"
    )
    metrics_bind: Address | None = Field(
        None,
        description="host:port at which a background process or a worker shows its metrics;"
        " instances show them at /metrics.",
    )
    otel_exporter_otlp_endpoint: HttpUrl | None = Field(
        None,
        description="Base URL of an OpenTelemetry collector (OTLP over HTTP); traces are off"
        " without it.",
    )
    jwt_issuer: str = Field("feira", description="`iss` of access tokens.")
    jwt_audience: str = Field("feira", description="`aud` of access tokens.")
    threads: int = Field(16, ge=1, le=256, description="Requests that a process serves at once.")
    database_wait_seconds: float = Field(
        5.0, gt=0, description="Longest silence of PostgreSQL before a call is given up."
    )
    request_seconds: float = Field(
        4.5,
        gt=0,
        description="Longest time that a request may wait for what it needs before it answers 503;"
        " the gateway's patience has to be longer.",
    )

    @field_validator("metrics_bind", "otel_exporter_otlp_endpoint", mode="before")
    @classmethod
    def _empty_is_not_set(cls, value: object) -> object:
        # Compose has no way to leave a variable out.
        return None if value == "" else value

    @property
    def branches(self) -> tuple[Peer, ...]:
        """The other branches, of which this service knows none."""
        return ()

    @classmethod
    def load(cls) -> Self:
        """Read the environment.

        Raises:
            SystemExit: one line naming every variable that is missing or not acceptable.
        """
        try:
            return cls()  # type: ignore[call-arg]
        except ValidationError as error:
            faults = "; ".join(
                f"{str(fault['loc'][0]).upper()}: {_reason(fault['type'], fault['msg'])}"
                for fault in error.errors(include_input=False, include_url=False)
            )
            raise SystemExit(f"cannot start, check the environment: {faults}") from None


class BranchSettings(ServiceSettings):
    """Settings of a service that other branches are told of."""

    peers: str = Field(
        "",
        description="Other branches and the base URLs of their gateways:"
        " filial=https://filial.example,loja=https://loja.example",
    )
    replica_token: str = Field(
        "", description="Secret shared with the only peer; with several, REPLICA_TOKENS."
    )
    replica_tokens: str = Field(
        "",
        validate_default=True,
        description="One secret for each peer, 32 random characters or more:"
        " filial=...,loja=... Each pair of branches has its own.",
    )
    replication_retry_seconds: float = Field(
        2.0,
        gt=0,
        description="Pause before a peer that did not take what was sent is tried again; it"
        " doubles up to eight times as long, with jitter.",
    )

    @field_validator("peers")
    @classmethod
    def _other_branches(cls, value: str, info: ValidationInfo) -> str:
        if info.data.get("node_name") in read_urls(value):
            raise ValueError("names this branch itself")
        return value

    @field_validator("replica_tokens")
    @classmethod
    def _token_of_every_peer(cls, value: str, info: ValidationInfo) -> str:
        names = list(read_urls(info.data.get("peers", "")))
        read_tokens(value, info.data.get("replica_token", ""), names)
        return value

    @property
    def branches(self) -> tuple[Peer, ...]:
        """The other branches, each with its token."""
        urls = read_urls(self.peers)
        tokens = read_tokens(self.replica_tokens, self.replica_token, list(urls))
        return tuple(Peer(name, url, tokens[name]) for name, url in urls.items())


def _reason(kind: str, message: str) -> str:
    return "is required and not set" if kind == "missing" else message.removeprefix("Value error, ")
