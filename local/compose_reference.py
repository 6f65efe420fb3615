"""Writes the variables of docker-compose.yml: `python -m local.compose_reference > .env.example`.

What the services' settings classes define is taken from there; a test compares the file with what
this module would write now, and with docker-compose.yml.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib import import_module

from pydantic_settings import BaseSettings

from local.compose_secrets import MAKERS
from local.settings import REPOSITORY, GatewaySettings

_HEAD = """\
# Every variable of docker-compose.yml, written by `python -m local.compose_reference`.
#
# `make up` makes .env with the secrets; this file is for whoever wants to write it by hand (copy it
# to .env and fill in the secrets) or to change something (take over a line, without the #). What is
# behind a # is the default, made for running the shop for real.
"""
SECRETS = {
    "POSTGRES_PASSWORD": "The superuser of every PostgreSQL, used by Patroni only.",
    "REPLICATOR_PASSWORD": "The role that standbys follow their primary with.",
    "CATALOG_OWNER_PASSWORD": "The owner of the catalog's tables, used by its migrations only.",
    "CATALOG_PASSWORD": "The role that the catalog works with.",
    "ORDERS_OWNER_PASSWORD": "The owner of orders' tables, used by its migrations only.",
    "ORDERS_PASSWORD": "The role that orders works with.",
    "AUDITOR_PASSWORD": "The role of the audit, which may only read.",
    "REDIS_CARTS_PASSWORD": "The Redis of the carts.",
    "REDIS_STREAMS_PASSWORD": "The Redis of the events.",
    "SERVICE_TOKEN": "Shared by the services; 32 characters or more.",
    "JWT_PRIVATE_KEY": "Signs access tokens: 32 bytes in base64url.",
    "ADMIN_PASSWORD": "The first admin; 12 to 72 characters.",
    "DEMO_PASSWORD": "The demo accounts, made when SEED_DEMO=true; 12 to 72 characters.",
    "PROBE_PASSWORD": "The account that the ready check buys with; 12 to 72 characters.",
    "REWINDER_PASSWORD": "The role that a former primary is rewound with.",
    "PATRONI_PASSWORD": "The control interface of Patroni.",
}
# Those that only docker-compose.yml knows: default and description.
CONTAINERS = {
    "LISTEN_ADDRESS": ("0.0.0.0", "Address of both ports of the gateway."),  # noqa: S104
    "PORT": ("8080", "The gateway, HTTP."),
    "TLS_PORT": ("8443", "The gateway, HTTPS."),
    "SEED_DEMO": ("false", "Whether the demo shop and its accounts are loaded."),
    "CATALOG_REPLICAS": ("2", "Instances of the catalog (also: --scale catalog=3)."),
    "CART_REPLICAS": ("1", "Instances of the cart."),
    "ORDERS_REPLICAS": ("1", "Instances of orders."),
    "ORDERS_WORKER_REPLICAS": ("1", "Workers of asynchronous orders (--scale orders-worker=3)."),
    "WORKERS": ("1", "Worker processes of each instance."),
    "REDIS_CARTS_MAXMEMORY": ("256mb", "Most memory that carts may take; writes fail beyond it."),
    "REDIS_STREAMS_MAXMEMORY": ("256mb", "Most memory that events may take."),
    "POSTGRES_SHARED_BUFFERS": ("128MB", "Buffer cache of each PostgreSQL."),
    "POSTGRES_SLOT_WAL_KEEP": (
        "2GB",
        "Changes kept for a standby that is away; beyond that it has to be made anew.",
    ),
    "HEALTH_INTERVAL": ("5s", "How often a container is asked whether it is well."),
    "GATEWAY_MEMORY": ("384m", "Memory limit of the gateway."),
    "SERVICE_MEMORY": ("384m", "Memory limit of each instance and job of a service."),
    "POSTGRES_MEMORY": ("768m", "Memory limit of each PostgreSQL."),
    "REDIS_MEMORY": ("640m", "Memory limit of each Redis; twice its data, for rewriting its log."),
    "ETCD_MEMORY": ("256m", "Memory limit of etcd."),
    "GATEWAY_PIDS": ("32", "Most processes and threads of the gateway."),
    "SERVICE_PIDS": ("128", "The same of each instance and job of a service."),
    "POSTGRES_PIDS": ("400", "The same of each PostgreSQL."),
    "REDIS_PIDS": ("32", "The same of each Redis."),
    "ETCD_PIDS": ("64", "The same of etcd."),
    "IMAGE_PREFIX": ("feira", "What the names of Feira's own images begin with."),
    "IMAGE_TAG": ("dev", "Their tag."),
    "PYTHON_IMAGE": ("python:3.11-slim-bookworm", "Base image of the services."),
    "POSTGRES_IMAGE": ("postgres:15-bookworm", "Base image of the databases."),
    "REDIS_IMAGE": ("redis:7-bookworm", "Image of both Redis."),
    "NGINX_IMAGE": ("nginx:1.30", "Base image of the gateway."),
    "DEBIAN_IMAGE": ("debian:bookworm-slim", "Base image of etcd."),
    "KAFKA_IMAGE": ("apache/kafka:3.9.1", "Image of Kafka, with `make up BUS=kafka`."),
    "KAFKA_HEAP": ("-Xms256m -Xmx384m", "Options of Kafka's Java."),
    "KAFKA_MEMORY": ("768m", "Memory limit of Kafka."),
    "KAFKA_PIDS": ("256", "Most processes and threads of Kafka."),
    "KAFKA_HEALTH_INTERVAL": ("15s", "How often Kafka is asked whether it is well."),
    "SMTP_URL": (
        "",
        "smtp://, smtp+starttls:// or smtps://[user:password@]host[:port] for mail to customers,"
        " with COMPOSE_FILE=docker-compose.yml:compose/mail.yml; without both none is sent.",
    ),
    "OTEL_EXPORTER_OTLP_ENDPOINT": (
        "",
        "Base URL of an OpenTelemetry collector on the services' network; no traces without it.",
    ),
    "OTEL_TRACES_SAMPLER": ("parentbased_always_on", "Which requests are traced."),
    "OTEL_TRACES_SAMPLER_ARG": ("1.0", "Share of them, with parentbased_traceidratio."),
    "OBSERVE_ADDRESS": (
        "127.0.0.1",
        "Address of the pages of Prometheus and Grafana, which have no accounts (OBSERVE=1).",
    ),
    "PROMETHEUS_PORT": ("9090", "Port of the pages of Prometheus."),
    "GRAFANA_PORT": ("3000", "Port of the pages of Grafana."),
    "PROMETHEUS_RETENTION": ("15d", "How long Prometheus keeps what it measured."),
    "PROMETHEUS_MEMORY": ("512m", "Memory limit of Prometheus."),
    "PROMETHEUS_PIDS": ("128", "Most processes and threads of Prometheus."),
    "PROMETHEUS_IMAGE": ("prom/prometheus:v2.55.1", "Base image of Prometheus."),
    "GRAFANA_MEMORY": ("512m", "Memory limit of Grafana."),
    "GRAFANA_PIDS": ("256", "Most processes and threads of Grafana."),
    "GRAFANA_IMAGE": ("grafana/grafana:11.6.0", "Base image of Grafana."),
}
# Settings that docker-compose.yml works out itself, or that are among the above.
NOT_A_VARIABLE = {"instance", "seed_demo", "listen_address"}


def render() -> str:
    """The whole file."""
    sys.path.insert(0, str(REPOSITORY / "microservices"))
    try:
        common = import_module("chassis.settings").ServiceSettings
        services = {
            name: import_module(f"{name}.settings").Settings
            for name in ("catalog", "cart", "orders")
        }
    finally:
        sys.path.pop(0)
    seen: set[str] = set()
    lines = [_HEAD, "# ---- Secrets, all required: letters, digits and . _ ~ = - only\n"]
    lines += [f"# {SECRETS[name]}\n{name}=\n" for name in MAKERS]
    lines.append("\n# ---- Containers\n")
    lines += [f"# {text}\n#{name}={value}\n" for name, (value, text) in CONTAINERS.items()]
    for title, kind in {"The gateway": GatewaySettings, "All services": common, **services}.items():
        lines.append(f"\n# ---- {title.capitalize()}\n")
        lines += _variables(kind, seen)
    return "".join(lines)


def _variables(kind: type[BaseSettings], seen: set[str]) -> Iterator[str]:
    for name, field in kind.model_fields.items():
        # Addresses and passwords have no default; docker-compose.yml puts them together.
        if field.default is None or field.is_required() or name in NOT_A_VARIABLE | seen:
            continue
        seen.add(name)
        text = (field.description or "").rstrip(".")
        yield f"# {text}.\n#{name.upper()}={field.default}\n"


if __name__ == "__main__":
    sys.stdout.write(render())
