"""The catalog service: `create_app()` for gunicorn, `flask --app catalog.app …` for commands."""

from __future__ import annotations

from flask_openapi3 import OpenAPI

from catalog import commands, images, produtos, routes, service_routes, stock
from catalog.ports import Ports
from catalog.settings import Settings
from chassis import app as chassis_app
from chassis import inside_routes, stores
from chassis.auth import TokenVerifier
from chassis.clock import Clock, SystemClock
from chassis.db import Database, ping
from chassis.http_client import ServiceClient
from chassis.outbox import backlog
from chassis.standby import replication
from chassis.trust import RemoteKeys, remote_revocations


def create_app(settings: Settings | None = None, clock: Clock | None = None) -> OpenAPI:
    """Build the service; nothing connects before the first request."""
    settings = settings or Settings.load()
    clock = clock or SystemClock()
    database = Database(
        "catalog",
        settings.catalog_database_url,
        pool_size=settings.catalog_pool_size,
        wait_seconds=settings.database_wait_seconds,
        application_name=settings.instance,
    )
    orders = ServiceClient(
        "orders",
        settings.orders_url,
        pool_size=settings.threads,
        service_token=settings.service_token,
    )
    ports = Ports(settings, database, orders, clock)
    service = chassis_app.start(
        "catalog", "Feira: catalog", DESCRIPTION, settings, request_seconds=settings.request_seconds
    )
    service.checks["database"] = lambda: ping(database.reader) or ping(database.primary)
    service.status["stock"] = lambda: database.read(lambda s: stock.totals(s, ports.branch))
    service.status["pending"] = lambda: backlog(database.reader)
    service.status["replication"] = lambda: replication(database)
    service.app.extensions["feira"] = ports
    for blueprint in (routes.api, service_routes.api, produtos.api):
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


DESCRIPTION = "Products, categories, search, stock and reservations."
