"""The orders service: `create_app()` for gunicorn, `flask --app orders.app …` for commands."""

from __future__ import annotations

from flask_openapi3 import OpenAPI

from chassis import app as chassis_app
from chassis import inside_routes, stores
from chassis.auth import TokenVerifier
from chassis.clock import Clock, SystemClock
from chassis.db import ping
from chassis.health import sparing
from chassis.outbox import backlog
from chassis.replication import state
from chassis.standby import replication
from orders import (
    auth_routes,
    commands,
    counter_routes,
    fulfilment,
    intake,
    login_limit,
    notifications,
    replica,
    replica_routes,
    routes,
    user_routes,
)
from orders.infrastructure import make_ports
from orders.ports import Ports
from orders.settings import Settings
from orders.tokens import LocalKeys

DESCRIPTION = "Accounts, checkout and orders."


def create_app(settings: Settings | None = None, clock: Clock | None = None) -> OpenAPI:
    """Build the service; nothing connects before the first request."""
    settings = settings or Settings.load()
    clock = clock or SystemClock()
    ports = make_ports(settings, clock)
    database = ports.database
    service = chassis_app.start(
        "orders",
        "Feira: orders",
        DESCRIPTION,
        settings,
        request_seconds=max(settings.request_seconds, settings.checkout_deadline_seconds),
    )
    service.checks["database"] = lambda: ping(database.primary)
    service.status["orders"] = sparing(lambda: database.read_latest(fulfilment.totals))
    service.status["asynchronous"] = lambda: intake.backlog(ports)
    service.status["mails"] = lambda: notifications.backlog(ports)
    service.status["pending"] = lambda: backlog(database.reader)
    if ports.peers:
        known, own = settings.branches, settings.node_name
        service.status["peers"] = lambda: state.peers(database.primary, known)
        service.status["branches"] = lambda: database.read_latest(lambda s: replica.totals(s, own))
    service.status["catalog"] = lambda: {"circuit": ports.holds.breaker.state}
    service.status["replication"] = lambda: replication(database)
    service.app.extensions["feira"] = ports
    blueprints = (routes, auth_routes, user_routes, replica_routes)
    for blueprint in (*(module.api for module in blueprints), auth_routes.internal):
        service.app.register_api(blueprint)
    service.app.register_api(counter_routes.api)
    _tell_inside(service.app, ports)
    login_limit.install(service.app, settings)
    commands.register(service.app, ports)
    verifier = TokenVerifier(
        LocalKeys(ports.issuer),
        ports.revocations,
        settings.jwt_issuer,
        settings.jwt_audience,
        clock,
    )
    return chassis_app.finish(service, settings, verifier)


def _tell_inside(app: OpenAPI, ports: Ports) -> None:
    dsn = ports.settings.orders_database_url
    handlers = commands.handlers(ports)
    inside_routes.register(
        app, ports.settings, "orders", lambda: stores.postgres_checks(dsn), handlers
    )
