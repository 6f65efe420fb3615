"""What the cart's routes and loops are given: its Redis, its view of products, its clock."""

from __future__ import annotations

from dataclasses import dataclass

from flask import current_app
from redis import Redis

from cart.products import Products
from cart.settings import Settings
from cart.store import Scripts
from chassis.clock import Clock
from chassis.http_client import ServiceClient


@dataclass(frozen=True)
class Ports:
    """The infrastructure of one cart process."""

    settings: Settings
    redis: Redis
    scripts: Scripts
    products: Products
    catalog: ServiceClient
    clock: Clock


def ports() -> Ports:
    """The ports of the running app."""
    found: Ports = current_app.extensions["feira"]
    return found
