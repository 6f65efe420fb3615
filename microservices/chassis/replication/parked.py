"""`flask … parked list|replay`: the events that a peer refused for good."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import click
from flask import Flask
from sqlalchemy import Row, text

from chassis.db import Database
from chassis.problems import Unavailable
from chassis.replication.client import PeerClient, Refused

SECONDS = 10.0


def register(app: Flask, database: Database, peers: Mapping[str, PeerClient]) -> None:
    """Add the commands to a service's app."""

    @app.cli.group("parked")
    def commands() -> None:
        """See and send again the events that a peer refused."""

    @commands.command("list")
    def list_parked() -> None:
        """One line for each: peer, id, type, subject, reason."""
        for row in _rows(database):
            told = f"{row.document['type']} {row.document['subject']}"
            click.echo(f"{row.peer}  {row.event_id}  {told}  {row.reason[:120]}")

    @commands.command("replay")
    def replay() -> None:
        """Send all of them once more; those that are taken are parked no longer."""
        kept = 0
        for row in _rows(database):
            if row.peer in peers and _taken(peers[row.peer], row.document):
                with database.primary.connect() as connection:
                    key = {"peer": row.peer, "id": row.event_id}
                    connection.execute(text(_FORGET), key)
            else:
                kept += 1
        if kept:
            raise SystemExit(f"{kept} were refused again and are kept")


def _rows(database: Database) -> Sequence[Row[Any]]:
    with database.primary.connect() as connection:
        return connection.execute(text("SELECT * FROM parked_events ORDER BY at")).all()


def _taken(peer: PeerClient, document: dict[str, Any]) -> bool:
    # Of no epoch and no start: what happened since then has the newer version, and stays.
    event = {name: value for name, value in document.items() if name not in MARKS}
    try:
        answer = peer.send(json.dumps(event).encode(), seconds=SECONDS)
    except (Unavailable, Refused) as error:
        click.echo(str(error), err=True)
        return False
    return bool(answer["results"][0]["outcome"] != "refused")


MARKS = {"epoch", "start", "position"}
_FORGET = "DELETE FROM parked_events WHERE peer = :peer AND event_id = :id"
