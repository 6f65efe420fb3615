"""What a process of orders works with, made from its settings."""

from __future__ import annotations

import threading

from chassis.clock import Clock
from chassis.db import Database
from chassis.http_client import ServiceClient
from chassis.replication.client import PeerClient
from chassis.trust import RevocationList
from orders import mail, queue, revocation
from orders.cart_lock import CartLock
from orders.holds import Holds
from orders.payment import SimulatedGateway
from orders.ports import Ports
from orders.settings import Settings
from orders.tokens import TokenIssuer

# The queue is only looked at, and the carts' lock only saves work: nobody waits long for either.
REDIS_PATIENCE_SECONDS = 0.25
# A cart's lock outlives the checkout that took it by this much.
LOCK_MARGIN_SECONDS = 2.0


def make_ports(settings: Settings, clock: Clock) -> Ports:
    """The infrastructure of a process of orders; nothing connects before its first use."""
    database = Database(
        "orders",
        settings.orders_database_url,
        # Each peer has a connection of its own in the background process.
        pool_size=settings.orders_pool_size + len(settings.branches),
        wait_seconds=settings.database_wait_seconds,
        application_name=settings.instance,
    )

    def client(name: str, urls: str) -> ServiceClient:
        return ServiceClient(
            name, urls, pool_size=settings.threads, service_token=settings.service_token
        )

    catalog = client("catalog", settings.catalog_url)
    redis = queue.connect(settings.task_queue_url, REDIS_PATIENCE_SECONDS)
    return Ports(
        settings=settings,
        database=database,
        holds=Holds(settings, catalog),
        catalog=catalog,
        cart=client("cart", settings.cart_url),
        cart_lock=CartLock(redis, settings.checkout_deadline_seconds + LOCK_MARGIN_SECONDS),
        mailer=mail.mailer(settings.smtp_url, settings.mail_folder),
        payment=SimulatedGateway(database, clock),
        queue=queue.Queue(redis),
        clock=clock,
        issuer=TokenIssuer.from_settings(settings, clock),
        revocations=RevocationList(
            lambda: revocation.load(database, clock, settings.access_token_seconds)
        ),
        # Every open stream holds a thread: at least half of them stay free for requests.
        streams=threading.BoundedSemaphore(max(1, settings.threads // 2)),
        peers={peer.name: PeerClient(peer) for peer in settings.branches},
    )
