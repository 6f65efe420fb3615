"""The cart service: `create_app()` for gunicorn, `flask --app cart.app …` for commands."""

from __future__ import annotations

from flask_openapi3 import OpenAPI

from cart import carrinho, commands, routes, store
from cart.ports import Ports
from cart.products import Products
from cart.settings import Settings
from chassis import app as chassis_app
from chassis import inside_routes, stores
from chassis.clock import Clock, SystemClock
from chassis.http_client import ServiceClient


def create_app(settings: Settings | None = None, clock: Clock | None = None) -> OpenAPI:
    """Build the service; nothing connects before the first request."""
    settings = settings or Settings.load()
    redis = store.connect(
        settings.cart_redis_url,
        wait_seconds=settings.cart_redis_wait_seconds,
        connections=settings.threads,
    )
    scripts = store.scripts(redis)
    catalog = ServiceClient(
        "catalog",
        settings.catalog_url,
        pool_size=settings.threads,
        service_token=settings.service_token,
    )
    products = Products(settings, redis, scripts, catalog)
    ports = Ports(settings, redis, scripts, products, catalog, clock or SystemClock())
    service = chassis_app.start(
        "cart", "Feira: cart", DESCRIPTION, settings, request_seconds=settings.request_seconds
    )
    service.checks["redis"] = lambda: store.ping(redis)
    service.status["memory"] = lambda: store.memory(redis)
    service.status["catalog"] = lambda: {"circuit": products.breaker.state}
    service.app.extensions["feira"] = ports
    for blueprint in (routes.api, carrinho.api):
        service.app.register_api(blueprint)
    inside_routes.register(
        service.app,
        settings,
        "cart",
        lambda: [stores.redis_check("carts", settings.cart_redis_url)],
        commands.handlers(ports),
    )
    commands.register(service.app, ports)
    return chassis_app.finish(service, settings, None)


DESCRIPTION = "Carts of guests and customers."
