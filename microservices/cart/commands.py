"""`flask --app cart.app …`: background."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from flask import Flask

from cart import settlement
from cart.ports import Ports
from chassis import background, bus


def register(app: Flask, ports: Ports) -> None:
    """Add the commands to the app."""

    @app.cli.command("background")
    @background.heartbeat_option
    def run_background(heartbeat: Path | None) -> None:
        """Keep the views of products fresh, and take out of carts what was bought."""
        background.run(loops(ports), heartbeat)


def loops(ports: Ports) -> list[background.Loop]:
    """The duties of the cart beside its requests."""
    redis = bus.connect(ports.settings.event_bus_url)
    member = ports.settings.instance
    views = bus.Consumer(redis, "catalog", "cart", member, ports.products.on_catalog_event)
    orders = bus.Consumer(
        redis, "orders", "cart", member, lambda event: settlement.on_order_event(ports, event)
    )
    return [
        background.Loop("views", _when_carts_answer(ports, views), 0),
        background.Loop("settlement", _when_carts_answer(ports, orders), 0),
    ]


def _when_carts_answer(ports: Ports, consumer: bus.Consumer) -> Callable[[], bool]:
    # An event met by an absent store is not poison: it waits in the stream, and no attempt at
    # it is counted, until there is somewhere to apply it.
    def cycle() -> bool:
        ports.redis.ping()
        return consumer.cycle()

    return cycle
