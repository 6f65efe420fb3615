"""`flask --app cart.app …`: background."""

from __future__ import annotations

from collections.abc import Callable

from flask import Flask

from cart import settlement
from cart.ports import Ports
from chassis import background, bus


def register(app: Flask, ports: Ports) -> None:
    """Add the commands to the app."""

    @app.cli.command("background")
    def run_background() -> None:
        """Keep the views of products fresh, and take out of carts what was bought."""
        background.run(loops(ports))


def loops(ports: Ports) -> list[background.Loop]:
    """The duties of the cart beside its requests."""
    views = _consumer(ports, "catalog", ports.products.on_catalog_event)
    orders = _consumer(ports, "orders", lambda event: settlement.on_order_event(ports, event))
    return [
        background.Loop("views", _when_carts_answer(ports, views), 0),
        background.Loop("settlement", _when_carts_answer(ports, orders), 0),
    ]


def _consumer(ports: Ports, service: str, handle: bus.Handler) -> bus.Consumer:
    return bus.consumer(
        ports.settings.event_bus_url,
        service=service,
        group="cart",
        member=ports.settings.instance,
        handle=handle,
    )


def _when_carts_answer(ports: Ports, consumer: bus.Consumer) -> Callable[[], bool]:
    # An event met by an absent store is not poison: it waits in the stream, and no attempt at
    # it is counted, until there is somewhere to apply it.
    def cycle() -> bool:
        ports.redis.ping()
        return consumer.cycle()

    return cycle
