"""`flask --app catalog.app …`: migrate, seed, background, dead-letters."""

from __future__ import annotations

from pathlib import Path

import click
from flask import Flask

from catalog import branches, rebalance, rejoin, retirement, seeding, settlement, sweeper
from catalog.ports import Ports
from chassis import background, bus, dead_letters, delivery, inbox
from chassis.outbox import Relay
from chassis.replication import parked, state

TRIM_SECONDS = 60.0
MEASURE_SECONDS = 5.0
REJOIN_SECONDS = 2.0
REBALANCE_SECONDS = 5.0
HOUSEKEEPING_SECONDS = 600.0


def register(app: Flask, ports: Ports) -> None:
    """Add the commands to the app."""

    @app.cli.command("migrate")
    def migrate() -> None:
        """Bring the database to the newest schema (as the owner of the tables)."""
        _migrate(ports)

    @app.cli.command("seed")
    def seed() -> None:
        """Load the demo shop when SEED_DEMO=1; repeating it changes nothing."""
        added = seeding.seed(ports) if ports.settings.seed_demo else 0
        click.echo(f"catalog: {added} products added")

    @app.cli.command("background")
    @background.heartbeat_option
    def run_background(heartbeat: Path | None) -> None:
        """Relay events, settle reservations by order events, sweep expired ones."""
        background.run(loops(ports), heartbeat=heartbeat, metrics_bind=ports.settings.metrics_bind)

    @app.cli.command("rejoin")
    def rejoin_peers() -> None:
        """Stop selling until every peer has said what it knows, as after a restore."""
        if ports.peers and rejoin.close(ports):
            click.echo("catalog: closed until all peers have answered")

    @app.cli.command("retire")
    @click.option("--to", required=True, help="The peer that gets the stock.")
    def retire(to: str) -> None:
        """Send all units that nobody holds to a peer; repeat it when the last hold has ended."""
        if to not in ports.peers:
            raise SystemExit(f"{to} is not among PEERS")
        click.echo(f"catalog: {retirement.retire(ports, to)} units sent to {to}")

    parked.register(app, ports.database, ports.peers)
    dead_letters.register(app, ports.settings.event_bus_url, "catalog", handlers(ports))


def _migrate(ports: Ports) -> None:
    # Alembic is 9 MB that no process needs but this one.
    from chassis import migrations

    url = ports.settings.catalog_migration_url
    if url is None:
        raise SystemExit("migrate needs CATALOG_MIGRATION_URL")
    try:
        migrations.upgrade(Path(__file__).parent, url)
    except migrations.MigrationRefused as refusal:
        raise SystemExit(f"error: {refusal}") from None
    click.echo("catalog: the schema is up to date")


def handlers(ports: Ports) -> dict[str, bus.Handler]:
    """What the events of each service do to the catalog."""
    return {"orders": lambda event: settlement.on_order_event(ports, event)}


def loops(ports: Ports) -> list[background.Loop]:
    """The duties of the catalog beside its requests."""
    publisher = bus.publisher(ports.settings.event_bus_url, "catalog")
    relay = Relay(ports.database.primary, f"/{ports.branch}/catalog", {"bus": publisher})
    consumer = bus.consumer(
        ports.settings.event_bus_url,
        service="orders",
        group="catalog",
        member=ports.settings.instance,
        handle=handlers(ports)["orders"],
    )

    def trim() -> bool:
        publisher.trim()
        return False

    return [
        *_peer_loops(ports),
        background.Loop("relay", relay.duty, 0),
        background.Loop("settlement", consumer.cycle, 0),
        background.Loop("sweeper", lambda: sweeper.sweep(ports), ports.settings.sweep_seconds),
        background.Loop("prune", relay.prune, HOUSEKEEPING_SECONDS),
        background.Loop("inbox", lambda: inbox.prune(ports.database.primary), HOUSEKEEPING_SECONDS),
        background.Loop("trim", trim, TRIM_SECONDS),
        background.Loop(
            "measure", lambda: delivery.measure(ports.database.primary, "catalog"), MEASURE_SECONDS
        ),
    ]


def _peer_loops(ports: Ports) -> list[background.Loop]:
    """The duties of the catalog towards other branches."""

    def forget() -> bool:
        return state.forget_others(ports.database.primary, ports.peers)

    loops = [
        background.Loop("peers", forget, HOUSEKEEPING_SECONDS),
        # Without peers, too: one that was closed and whose peers were all taken out opens.
        background.Loop("rejoin", lambda: rejoin.rejoin(ports), REJOIN_SECONDS),
    ]
    if not ports.peers:
        return loops
    relays = zip(ports.peers, branches.relays(ports), strict=True)
    loops += [background.Loop(f"relay-{name}", relay.duty, 0) for name, relay in relays]
    if ports.settings.stock_rebalance:
        level = background.Loop("rebalance", lambda: rebalance.level(ports), REBALANCE_SECONDS)
        loops.append(level)
    return loops
