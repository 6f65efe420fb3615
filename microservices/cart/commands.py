"""`flask --app cart.app …`: background, rebuild, dead-letters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import click
from flask import Flask
from redis.exceptions import RedisError

from cart import refreshing, settlement
from cart.ports import Ports
from chassis import background, bus, dead_letters
from chassis.problems import Unavailable


def register(app: Flask, ports: Ports) -> None:
    """Add the commands to the app."""

    @app.cli.command("background")
    @background.heartbeat_option
    def run_background(heartbeat: Path | None) -> None:
        """Keep the views of products fresh, and take out of carts what was bought."""
        background.run(loops(ports), heartbeat=heartbeat, metrics_bind=ports.settings.metrics_bind)

    @app.cli.command("rebuild")
    def rebuild() -> None:
        """Make the views of all products anew from the catalog."""
        try:
            count = refreshing.rebuild(ports)
        except (Unavailable, RedisError) as error:
            raise SystemExit(f"cart: the views were not rebuilt: {error}") from None
        click.echo(f"cart: {count} product views rebuilt")

    dead_letters.register(app, ports.settings.event_bus_url, "cart", handlers(ports))


def handlers(ports: Ports) -> dict[str, bus.Handler]:
    """What the events of each service do to carts."""
    return {
        "catalog": ports.products.on_catalog_event,
        "orders": lambda event: settlement.on_order_event(ports, event),
    }


def loops(ports: Ports) -> list[background.Loop]:
    """The duties of the cart beside its requests."""
    views, orders = (_consumer(ports, service) for service in ("catalog", "orders"))
    check = max(0.1, ports.settings.catalog_check_seconds / 3)
    lifetime = ports.settings.product_view_seconds
    return [
        background.Loop("views", _when_carts_answer(ports, views), 0),
        background.Loop("settlement", _when_carts_answer(ports, orders), 0),
        background.Loop("listen", lambda: refreshing.listen(ports), check),
        background.Loop("renew", lambda: refreshing.renew(ports), lifetime / 3),
    ]


def _consumer(ports: Ports, service: str) -> bus.Consumer:
    return bus.consumer(
        ports.settings.event_bus_url,
        service=service,
        group="cart",
        member=ports.settings.instance,
        handle=handlers(ports)[service],
    )


def _when_carts_answer(ports: Ports, consumer: bus.Consumer) -> Callable[[], bool]:
    # An event met by an absent store is not poison: it waits in the stream, and no attempt at
    # it is counted, until there is somewhere to apply it.
    def cycle() -> bool:
        ports.redis.ping()
        return consumer.cycle()

    return cycle
