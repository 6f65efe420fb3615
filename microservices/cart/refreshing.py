"""What the background process does so that reading a cart asks nobody but Redis.

It asks whether the catalog is there, on behalf of all, and renews the views in use before they
end. So a view is never older than its lifetime, whatever happened to an event.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from cart.ports import Ports
from cart.products import HEARD
from chassis.problems import Unavailable

BATCH = 100
LIST_SECONDS = 10.0


def listen(ports: Ports) -> bool:
    """Note for all readers that the catalog answers, or let them find out that it does not."""
    lifetime = int(ports.settings.catalog_check_seconds * 1000)
    if lifetime and _answers(ports):
        ports.redis.set(HEARD, "1", px=lifetime)
    return False


def renew(ports: Ports) -> bool:
    """Ask the catalog again for every view that was read or changed within its lifetime."""
    keys = list(ports.redis.scan_iter("product:*", count=BATCH))
    pipeline = ports.redis.pipeline(transaction=False)
    for key in keys:
        pipeline.object("IDLETIME", key)
    idle = pipeline.execute()
    wanted = [
        int(key.partition(":")[2])
        for key, seconds in zip(keys, idle, strict=True)
        if seconds is not None and seconds < ports.settings.product_view_seconds
    ]
    for ids in _batches(wanted):
        ports.products.learn_anew(ids, forget=False)
    return False


def rebuild(ports: Ports) -> int:
    """Make the views of all products anew from the catalog; how many there are then.

    Raises:
        Unavailable: the catalog did not answer.
        RedisError: the views could not be written.
    """
    known = [int(key.partition(":")[2]) for key in ports.redis.scan_iter("product:*", count=BATCH)]
    everything = sorted({*known, *_listed(ports)})
    return sum(ports.products.learn_anew(ids, forget=True) for ids in _batches(everything))


def _answers(ports: Ports) -> bool:
    seconds = ports.settings.catalog_wait_seconds
    try:
        answer = ports.catalog.call("GET", "/ready", seconds=seconds, repeatable=True)
    except Unavailable:
        return False
    return answer.status == 200


def _listed(ports: Ports) -> Iterator[int]:
    path = f"/api/products?limit={BATCH}"
    cursor = ""
    while True:
        page = _page(ports, path + cursor)
        yield from (item["id"] for item in page["items"])
        if page["next_cursor"] is None:
            return
        cursor = f"&cursor={page['next_cursor']}"


def _page(ports: Ports, path: str) -> dict[str, Any]:
    answer = ports.catalog.call("GET", path, seconds=LIST_SECONDS, repeatable=True)
    if answer.status != 200:
        raise Unavailable(f"The catalog answered {answer.status}, not products.")
    page: dict[str, Any] = answer.body
    return page


def _batches(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    return (ids[start : start + BATCH] for start in range(0, len(ids), BATCH))
