"""What operators see of the whole house: its running parts, and the events that were given up.

Each service knows its own; here all are asked side by side, each at every address that it has.
"""

from __future__ import annotations

import socket
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import structlog

from chassis import dead_letters, stores
from chassis.http_client import ServiceClient
from chassis.inside_routes import STARTED_AT
from chassis.problems import Unavailable
from orders.ports import Ports

ANSWER_SECONDS = 1.5
REPLAY_SECONDS = 4.0

log = structlog.get_logger()


@dataclass(frozen=True)
class _Address:
    service: str
    url: str


def parts(ports: Ports, own: list[stores.Check]) -> list[dict[str, Any]]:
    """Every instance of every service, and the stores as it sees them.

    `{service, address, instance, state, started_at, milliseconds, stores}`; of an instance that is
    away, `instance` and `started_at` are None and `stores` empty.
    """
    settings = ports.settings
    addresses = [
        *_addresses("catalog", settings.catalog_url),
        *_addresses("cart", settings.cart_url),
    ]
    with ThreadPoolExecutor(len(addresses) + 1) as pool:
        mine = pool.submit(stores.ask, own)
        others = list(pool.map(lambda address: _part(ports, address), addresses))
    this = {
        "service": "orders",
        "address": None,
        "instance": settings.instance,
        "state": "up",
        "started_at": STARTED_AT,
        "milliseconds": 0.0,
        "stores": mine.result(),
    }
    return [*others, this]


def letters(ports: Ports) -> tuple[list[dict[str, Any]], list[str]]:
    """The dead letters of all services, and the services that could not be asked."""
    found = dead_letters.documents(ports.settings.event_bus_url, "orders")
    away = []
    for client in (ports.catalog, ports.cart):
        try:
            answer = client.call(
                "GET", "/internal/dead-letters", seconds=ANSWER_SECONDS, repeatable=True
            )
            found += answer.body["items"]
        except Unavailable:
            away.append(client.name)
    return sorted(found, key=lambda letter: str(letter["id"])), away


def replay(ports: Ports, group: str, letter_id: str) -> None:
    """Give an event its effect now, in the service that gave it up.

    Raises:
        LetterNotFound, ReplayFailed: it has no such letter, or it failed again.
        Unavailable: the service could not be asked.
    """
    if group == "orders":
        from orders.commands import handlers

        dead_letters.replay(ports.settings.event_bus_url, group, letter_id, handlers(ports))
        return
    client = ports.catalog if group == "catalog" else ports.cart
    path = f"/internal/dead-letters/{letter_id}/replay"
    answer = client.call("POST", path, seconds=REPLAY_SECONDS, repeatable=False)
    if answer.status == 404:
        raise dead_letters.LetterNotFound(answer.body["detail"])
    if answer.status != 204:
        raise dead_letters.ReplayFailed(answer.body["detail"])


def _addresses(service: str, urls: str) -> list[_Address]:
    """A service's instances: each URL, and behind a name each address that it stands for."""
    found = []
    for url in urls.split(","):
        parts = urlsplit(url)
        try:
            hosts = socket.getaddrinfo(
                parts.hostname, parts.port, socket.AF_INET, socket.SOCK_STREAM
            )
        except OSError:
            hosts = []
        addresses = sorted({str(host[4][0]) for host in hosts}) or [parts.hostname or ""]
        found += [_Address(service, f"{parts.scheme}://{ip}:{parts.port}") for ip in addresses]
    return found


def _part(ports: Ports, address: _Address) -> dict[str, Any]:
    client = ServiceClient(
        address.service, address.url, pool_size=1, service_token=ports.settings.service_token
    )
    began = time.monotonic()
    inside: dict[str, Any] = {"instance": None, "started_at": None, "stores": []}
    state = "away"
    try:
        answer = client.call("GET", "/internal/parts", seconds=ANSWER_SECONDS, repeatable=False)
        if answer.status == 200:
            inside, state = answer.body, "up"
    except Unavailable as error:
        log.info("part_away", service=address.service, address=address.url, error=str(error))
    return {
        "service": address.service,
        "address": urlsplit(address.url).netloc,
        "instance": inside["instance"],
        "state": state,
        "started_at": inside["started_at"],
        "milliseconds": round((time.monotonic() - began) * 1000, 1),
        "stores": inside["stores"],
    }
