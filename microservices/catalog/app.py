"""The catalog service: `create_app()` for gunicorn, `flask --app catalog.app …` for commands."""

from __future__ import annotations

from flask_openapi3 import OpenAPI

from catalog import (
    branches,
    commands,
    images,
    produtos,
    replica_routes,
    routes,
    service_routes,
    stock,
)
from catalog.ports import Ports
from catalog.settings import Settings
from chassis import app as chassis_app
from chassis import inside_routes, stores
from chassis.auth import TokenVerifier
from chassis.clock import Clock, SystemClock
from chassis.db import Database, ping
from chassis.health import sparing
from chassis.http_client import ServiceClient
from chassis.outbox import backlog
from chassis.replication import state
from chassis.replication.client import PeerClient
from chassis.standby import replication
from chassis.trust import RemoteKeys, remote_revocations


def create_app(settings: Settings | None = None, clock: Clock | None = None) -> OpenAPI:
    """Build the service; nothing connects before the first request."""
    settings = settings or Settings.load()
    clock = clock or SystemClock()
    database = Database(
        "catalog",
        settings.catalog_database_url,
        # Each peer has a connection of its own in the background process.
        pool_size=settings.catalog_pool_size + len(settings.branches),
        wait_seconds=settings.database_wait_seconds,
        application_name=settings.instance,
    )
    orders = ServiceClient(
        "orders",
        settings.orders_url,
        pool_size=settings.threads,
        service_token=settings.service_token,
    )
    peers = {peer.name: PeerClient(peer) for peer in settings.branches}
    ports = Ports(settings, database, orders, clock, peers)
    service = chassis_app.start(
        "catalog", "Feira: catalog", DESCRIPTION, settings, request_seconds=settings.request_seconds
    )
    _report(service, ports)
    service.app.extensions["feira"] = ports
    for blueprint in (routes.api, service_routes.api, replica_routes.api, produtos.api):
        service.app.register_api(blueprint)
    _tell_inside(service.app, ports)
    service.app.register_blueprint(images.pages)
    commands.register(service.app, ports)
    verifier = TokenVerifier(
        RemoteKeys(orders),
        remote_revocations(orders),
        settings.jwt_issuer,
        settings.jwt_audience,
        clock,
    )
    return chassis_app.finish(service, settings, verifier)


def _tell_inside(app: OpenAPI, ports: Ports) -> None:
    dsn = ports.settings.catalog_database_url
    handlers = commands.handlers(ports)
    inside_routes.register(
        app, ports.settings, "catalog", lambda: stores.postgres_checks(dsn), handlers
    )


def _report(service: chassis_app.Service, ports: Ports) -> None:
    """What /ready and /status ask."""
    database = ports.database
    service.checks["database"] = lambda: ping(database.reader) or ping(database.primary)
    service.status["stock"] = sparing(
        lambda: database.read(lambda s: stock.totals(s, ports.branch))
    )
    service.status["pending"] = lambda: backlog(database.reader)
    if ports.peers:
        known = ports.settings.branches
        service.status["peers"] = lambda: state.peers(database.primary, known)
        service.status["branches"] = lambda: database.read_primary(
            lambda s: branches.totals(s, ports.branch)
        )
    service.status["replication"] = lambda: replication(database)


DESCRIPTION = "Products, categories, search, stock and reservations."
