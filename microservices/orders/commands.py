"""`flask --app orders.app …`: migrate, seed, forget-probe, cancel, background, dead-letters."""

from __future__ import annotations

from pathlib import Path

import click
from flask import Flask

from chassis import background, bus, dead_letters, inbox
from chassis.events import Event
from chassis.outbox import Relay
from chassis.replication import parked, state
from orders import (
    account_seeding,
    branches,
    dispatch,
    fulfilment,
    measures,
    notifications,
    probe,
    recovery,
    sessions,
)
from orders.checkout import read_order
from orders.ports import Ports
from orders.problems import InProgress, StatusConflict
from orders.tasks import Enqueuer

TRIM_SECONDS = 60.0
MEASURE_SECONDS = 5.0
MAIL_SECONDS = 1.0
HOUSEKEEPING_SECONDS = 600.0


def register(app: Flask, ports: Ports) -> None:
    """Add the commands to the app."""
    _register_owners(app, ports)

    @app.cli.command("seed")
    def seed() -> None:
        """Make the first admin, and the demo accounts when SEED_DEMO=1; repeating it is fine."""
        account_seeding.seed(ports)
        click.echo("orders: the accounts are there")

    @app.cli.command("cancel")
    @click.argument("order_ids", nargs=-1, required=True)
    def cancel(order_ids: tuple[str, ...]) -> None:
        """Cancel orders and refund them, as after a restore that lost their cancellation."""
        for order_id in order_ids:
            _cancel(ports, order_id)
        click.echo(f"orders: {len(order_ids)} cancelled")

    @app.cli.command("background")
    @background.heartbeat_option
    def run_background(heartbeat: Path | None) -> None:
        """Relay events, see to asynchronous orders and mails, recover unfinished checkouts."""
        background.run(loops(ports), heartbeat=heartbeat, metrics_bind=ports.settings.metrics_bind)

    parked.register(app, ports.database, ports.peers)
    dead_letters.register(app, ports.settings.event_bus_url, "orders", handlers(ports))


def _migrate(ports: Ports) -> None:
    # Alembic is 9 MB that no process needs but this one.
    from chassis import migrations

    url = ports.settings.orders_migration_url
    if url is None:
        raise SystemExit("migrate needs ORDERS_MIGRATION_URL")
    try:
        migrations.upgrade(Path(__file__).parent, url)
    except migrations.MigrationRefused as refusal:
        raise SystemExit(f"error: {refusal}") from None
    click.echo("orders: the schema is up to date")


def _register_owners(app: Flask, ports: Ports) -> None:
    """The commands of the owner of the tables."""

    @app.cli.command("migrate")
    def migrate() -> None:
        """Bring the database to the newest schema (as the owner of the tables)."""
        _migrate(ports)

    @app.cli.command("forget-probe")
    def forget_probe() -> None:
        """Remove the orders of the ready check (as the owner of the tables)."""
        url = ports.settings.orders_migration_url
        if url is None:
            raise SystemExit("forget-probe needs ORDERS_MIGRATION_URL")
        click.echo(f"orders: {probe.forget(url)} probe orders removed")


def handlers(ports: Ports) -> dict[str, bus.Handler]:
    """What the events of each service do to orders."""
    enqueuer = Enqueuer(ports.settings.task_queue_url)

    def on_own_event(event: Event) -> None:
        dispatch.on_order_event(enqueuer, event)
        notifications.on_order_event(ports, event)

    return {"orders": on_own_event}


def _cancel(ports: Ports, order_id: str) -> None:
    order = read_order(ports, order_id)
    if order is None:
        raise SystemExit(f"there is no order {order_id}")
    try:
        fulfilment.cancel(ports, order)
    except (StatusConflict, InProgress) as problem:
        raise SystemExit(f"order {order_id}: {problem.detail}") from None


def loops(ports: Ports) -> list[background.Loop]:
    """The duties of orders beside its requests."""
    publisher = bus.publisher(ports.settings.event_bus_url, "orders")
    source = f"/{ports.settings.node_name}/orders"
    relay = Relay(ports.database.primary, source, {"bus": publisher})

    def trim() -> bool:
        publisher.trim()
        return False

    enqueuer = Enqueuer(ports.settings.task_queue_url)
    consumer = bus.consumer(
        ports.settings.event_bus_url,
        service="orders",
        group="orders",
        member=ports.settings.instance,
        handle=handlers(ports)["orders"],
    )
    recovery_seconds = ports.settings.recovery_seconds
    return [
        *_peer_loops(ports),
        background.Loop("relay", relay.duty, 0),
        background.Loop("consumer", consumer.cycle, 0),
        background.Loop("requeue", lambda: dispatch.requeue(ports, enqueuer), recovery_seconds),
        background.Loop("recovery", lambda: recovery.sweep(ports), recovery_seconds),
        background.Loop("mails", lambda: notifications.send_if_taken(ports), MAIL_SECONDS),
        background.Loop("sent", lambda: notifications.forget_sent(ports), HOUSEKEEPING_SECONDS),
        background.Loop("keys", lambda: recovery.forget_old_keys(ports), HOUSEKEEPING_SECONDS),
        background.Loop("sessions", lambda: sessions.sweep(ports), HOUSEKEEPING_SECONDS),
        background.Loop("prune", relay.prune, HOUSEKEEPING_SECONDS),
        background.Loop("inbox", lambda: inbox.prune(ports.database.primary), HOUSEKEEPING_SECONDS),
        background.Loop("trim", trim, TRIM_SECONDS),
        background.Loop("measure", lambda: measures.measure(ports), MEASURE_SECONDS),
    ]


def _peer_loops(ports: Ports) -> list[background.Loop]:
    """The duties of orders towards other branches."""

    def forget() -> bool:
        return state.forget_others(ports.database.primary, ports.peers)

    relays = zip(ports.peers, branches.relays(ports), strict=True)
    return [
        *(background.Loop(f"relay-{name}", relay.duty, 0) for name, relay in relays),
        background.Loop("peers", forget, HOUSEKEEPING_SECONDS),
    ]
