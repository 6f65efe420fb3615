"""The orders service: `create_app()` for gunicorn, `flask --app orders.app …` for commands."""

from __future__ import annotations

from flask_openapi3 import OpenAPI

from chassis import app as chassis_app
from chassis.auth import TokenVerifier
from chassis.clock import Clock, SystemClock
from chassis.db import Database, ping
from chassis.http_client import ServiceClient
from chassis.outbox import backlog
from chassis.standby import replication
from chassis.trust import RevocationList
from orders import (
    auth_routes,
    commands,
    fulfilment,
    login_limit,
    revocation,
    routes,
    user_routes,
)
from orders.holds import Holds
from orders.payment import SimulatedGateway
from orders.ports import Ports
from orders.settings import Settings
from orders.tokens import LocalKeys, TokenIssuer

DESCRIPTION = "Accounts, checkout and orders."


def create_app(settings: Settings | None = None, clock: Clock | None = None) -> OpenAPI:
    """Build the service; nothing connects before the first request."""
    settings = settings or Settings.load()
    clock = clock or SystemClock()
    ports = _ports(settings, clock)
    database = ports.database
    service = chassis_app.start(
        "orders",
        "Feira: orders",
        DESCRIPTION,
        settings,
        request_seconds=max(settings.request_seconds, settings.checkout_deadline_seconds),
    )
    service.checks["database"] = lambda: ping(database.primary)
    service.status["orders"] = lambda: database.read_latest(fulfilment.totals)
    service.status["pending"] = lambda: backlog(database.reader)
    service.status["catalog"] = lambda: {"circuit": ports.holds.breaker.state}
    service.status["replication"] = lambda: replication(database)
    service.app.extensions["feira"] = ports
    for blueprint in (routes.api, auth_routes.api, auth_routes.internal, user_routes.api):
        service.app.register_api(blueprint)
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


def _ports(settings: Settings, clock: Clock) -> Ports:
    database = Database(
        "orders",
        settings.orders_database_url,
        pool_size=settings.orders_pool_size,
        wait_seconds=settings.database_wait_seconds,
        application_name=settings.instance,
    )

    def client(name: str, urls: str) -> ServiceClient:
        return ServiceClient(
            name, urls, pool_size=settings.threads, service_token=settings.service_token
        )

    return Ports(
        settings=settings,
        database=database,
        holds=Holds(settings, client("catalog", settings.catalog_url)),
        cart=client("cart", settings.cart_url),
        payment=SimulatedGateway(database, clock),
        clock=clock,
        issuer=TokenIssuer.from_settings(settings, clock),
        revocations=RevocationList(
            lambda: revocation.load(database, clock, settings.access_token_seconds)
        ),
    )
