"""What orders' routes, saga and loops are given."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from flask import current_app

from chassis.clock import Clock
from chassis.db import Database
from chassis.http_client import ServiceClient
from chassis.replication.client import PeerClient
from chassis.trust import RevocationList
from orders.cart_lock import CartLock
from orders.holds import Holds
from orders.mail import Mailer
from orders.payment import PaymentGateway
from orders.queue import Queue
from orders.settings import Settings
from orders.tokens import TokenIssuer


@dataclass(frozen=True)
class Ports:
    """The infrastructure of one orders process."""

    settings: Settings
    database: Database
    holds: Holds
    catalog: ServiceClient
    cart: ServiceClient
    cart_lock: CartLock
    mailer: Mailer
    payment: PaymentGateway
    queue: Queue
    clock: Clock
    issuer: TokenIssuer
    revocations: RevocationList
    streams: threading.BoundedSemaphore
    peers: Mapping[str, PeerClient] = field(default_factory=dict)


def ports() -> Ports:
    """The ports of the running app."""
    found: Ports = current_app.extensions["feira"]
    return found
