"""What the catalog's routes and loops are given: its database, clock and neighbours."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from flask import current_app

from catalog.settings import Settings
from chassis.clock import Clock
from chassis.db import Database
from chassis.http_client import ServiceClient
from chassis.replication.client import PeerClient


@dataclass(frozen=True)
class Ports:
    """The infrastructure of one catalog process."""

    settings: Settings
    database: Database
    orders: ServiceClient
    clock: Clock
    peers: Mapping[str, PeerClient] = field(default_factory=dict)

    @property
    def branch(self) -> str:
        """The branch whose stock this catalog sells."""
        return self.settings.node_name


def ports() -> Ports:
    """The ports of the running app."""
    found: Ports = current_app.extensions["feira"]
    return found
