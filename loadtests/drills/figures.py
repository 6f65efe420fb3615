"""The figures of a drill, calculated from what was seen. Times are on the monotonic clock.

docs/drills.md defines each of them.
"""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from loadtests.drills.journal import SOLD, UNIX_OFFSET, Call, Purchase

# What an instance may still be refused after the promotion (promise 24).
RECONNECT_SECONDS = 10.0
# What PostgreSQL says to it. Its number would also be found in a fraction of a second, or in an id.
_READ_ONLY = "read-only transaction"


@dataclass(frozen=True)
class FaultTime:
    """When the command that broke something was given, and when it had been done."""

    began: float
    done: float


def failover_seconds(purchases: Iterable[Purchase], fault: FaultTime) -> float | None:
    """From the fault to the first confirmation of a purchase that began after it."""
    moments = [
        each.acknowledged
        for each in purchases
        if each.acknowledged is not None and each.began >= fault.done
    ]
    return min(moments) - fault.began if moments else None


def down_seconds(acknowledged: Iterable[float], began: float, ended: float) -> float:
    """The longest span without a confirmed purchase that reaches beyond `began`, up to `ended`.

    It counts from the last confirmation before `began`, if there is one.
    """
    moments = sorted(each for each in acknowledged if each < ended)
    start = max((each for each in moments if each <= began), default=began)
    edges = [start, *(each for each in moments if each > began), ended]
    return max(later - earlier for earlier, later in itertools.pairwise(edges))


def per_second(acknowledged: Iterable[float], began: float, ended: float) -> list[int]:
    """How many confirmations came in each second of a load."""
    counts = [0] * (int(ended - began) + 1)
    for moment in acknowledged:
        if began <= moment < began + len(counts):
            counts[int(moment - began)] += 1
    return counts


@dataclass(frozen=True)
class Books:
    """What was acknowledged against what there is.

    Attributes:
        acknowledged: purchases that a shopper was told are confirmed.
        lost: those of them that are not there as sold orders.
        duplicates: sold orders that no answer accounts for, and answers that named two orders for
            one key. A purchase whose outcome stayed unknown accounts for one.
        unknown: purchases whose outcome was not known in the end.
    """

    acknowledged: int
    lost: int
    duplicates: int
    unknown: int


def compare(
    purchases: Sequence[Purchase],
    replays: Iterable[tuple[Purchase, str]],
    orders: Mapping[str, str],
) -> Books:
    """Compare what shoppers were told with the orders that they have now.

    Args:
        purchases: all of a drill.
        replays: what a key was answered with when it was sent again.
        orders: id to status of every order of those shoppers since the drill began.
    """
    told = Counter(each.order_id for each in purchases if each.order_id is not None)
    sold = {order for order, status in orders.items() if status in SOLD}
    unknown = sum(not each.known for each in purchases)
    two_answers = sum(again != purchase.order_id for purchase, again in replays)
    one_order_for_two = sum(count - 1 for count in told.values())
    return Books(
        acknowledged=told.total(),
        lost=len(told.keys() - sold),
        duplicates=max(0, len(sold - told.keys()) - unknown) + two_answers + one_order_for_two,
        unknown=unknown,
    )


def oversold_units(
    supplied: Mapping[int, int], available: Mapping[int, int], sold: Mapping[int, int]
) -> int:
    """Units sold that were not there, or that the stock does not know of, over all products."""
    return sum(
        max(0, sold.get(product, 0) - (units - available[product]), -available[product])
        for product, units in supplied.items()
    )


def lost_calls(calls: Iterable[Call], kinds: Iterable[str], since: float) -> int:
    """Calls that ended after a moment without a usable answer."""
    wanted = set(kinds)
    return sum(
        each.verdict == "unknown" and each.kind in wanted and each.ended >= since for each in calls
    )


def unusable(calls: Iterable[Call], since: float) -> dict[str, int]:
    """What those calls got instead, such as `order 503`, and how often."""
    return dict(
        Counter(
            f"{each.kind} {each.status or 'no answer'}"
            for each in calls
            if each.verdict == "unknown" and each.ended >= since
        ).most_common()
    )


def improper_calls(calls: Iterable[Call], since: float) -> int:
    """Checkouts that were neither answered nor told by a 503 when to come back."""
    return sum(
        each.kind == "order"
        and each.verdict == "unknown"
        and each.ended >= since
        and not (each.status == 503 and each.said_when)
        for each in calls
    )


def moment_of(line: Mapping[str, Any]) -> float:
    """When a service logged a line."""
    return datetime.fromisoformat(line["timestamp"]).timestamp() - UNIX_OFFSET


def first_writes(
    lines: Iterable[Mapping[str, Any]], writers: Iterable[str], promoted: float
) -> dict[str, float | None]:
    """Instance to the seconds from the promotion to its first write that succeeded after it.

    None for an instance that refused one after the time that it has for that. One that was asked
    for none that could have succeeded in this time is left out: who calls it keeps connections
    open, and all of those may lead to another instance for a while.
    """
    wrote: dict[str, float] = {}
    refused: dict[str, float] = {}
    for line in lines:
        name, seconds = line.get("instance", ""), moment_of(line) - promoted
        if name not in writers or not _asks_for_a_write(line) or seconds < 0:
            continue
        if line.get("status") == 201:
            wrote[name] = min(seconds, wrote.get(name, seconds))
        elif line.get("status", 0) >= 500:
            refused[name] = max(seconds, refused.get(name, seconds))
    late = {
        name
        for name, last in refused.items()
        if last > RECONNECT_SECONDS and wrote.get(name, math.inf) > RECONNECT_SECONDS
    }
    in_time = {name for name, first in wrote.items() if first <= RECONNECT_SECONDS}
    return {name: None if name in late else wrote[name] for name in sorted(late | in_time)}


def _asks_for_a_write(line: Mapping[str, Any]) -> bool:
    return (
        line.get("event") == "request"
        and line.get("method") == "POST"
        and line.get("route") in ("/api/reservations", "/api/orders")
    )


def read_only_errors(lines: Iterable[Mapping[str, Any]], promoted: float) -> list[str]:
    """Who told of a write on a node that takes none, later than services may need, and how much."""
    return [
        f"{line.get('instance')} {line.get('event')} after {seconds:.1f} s"
        for line in lines
        if (seconds := moment_of(line) - promoted) > RECONNECT_SECONDS and _READ_ONLY in str(line)
    ]


def passed_on(lines: Iterable[Mapping[str, Any]], address: str, after: float) -> float | None:
    """When the gateway first gave a request that an instance did not take to another one."""
    for line in lines:
        # Servers that were tried in turn; a colon parts the turns of an internal redirection.
        tried = str(line.get("upstream", "")).replace(" : ", ", ").split(", ")
        at = float(line["unix"]) - UNIX_OFFSET
        if at >= after and address in tried[:-1]:
            return at
    return None


def spread(values: Iterable[float | None]) -> tuple[float, float, float] | None:
    """Least, median and most of the values there are."""
    known = [value for value in values if value is not None]
    return (min(known), statistics.median(known), max(known)) if known else None
