"""One drill: a load, a fault, the healing, and the account of what it did."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from loadtests.drills import figures
from loadtests.drills.figures import FaultTime
from loadtests.drills.journal import SOLD, UNIX_OFFSET, Journal
from loadtests.drills.kinds import Kind
from loadtests.drills.rig import Rig
from loadtests.drills.shoppers import Account, Load, Shelf, load
from loadtests.drills.verdict import Result, checks
from loadtests.drills.watch import Watch
from local.errors import StackError

# How long the cluster may take to be whole, purchases to come back, and the last ones to end.
WHOLE_SECONDS = 180.0
BACK_SECONDS = 120.0
FINISH_SECONDS = 60.0
# Nothing more is expected to happen after so many purchases that began after the fault.
ENOUGH = 10
CONTROL_SECONDS = 10.0
_SETTLE_SECONDS = 30.0


@dataclass
class Course:
    """What happened in one drill, besides what shoppers saw."""

    journal: Journal
    target: str
    began: float
    fault: FaultTime
    mended: float = 0.0
    whole: float = 0.0
    ended: float = 0.0
    address: str = ""
    fence: list[bool] = field(default_factory=list)


class Drill:
    """Does drills on one rig with the same shoppers."""

    def __init__(
        self, rig: Rig, watch: Watch, rate: float, *, full: bool, say: Callable[[str], None]
    ) -> None:
        """Makes the shoppers' accounts.

        Args:
            rate: purchases a second.
            full: whether faults last as long as in FULL=1.
            say: is told what goes on.
        """
        self._rig = rig
        self._watch = watch
        self._rate = rate
        self._full = full
        self._say = say
        say("accounts are made")
        self._manager = Account(rig.url, *rig.admin)
        # Enough of them that one who waits 8 s for an answer does not slow the others down.
        self._people = [Account.new(rig.url) for _ in range(max(4, round(rate * 1.2)))]

    def control(self) -> Result:
        """The same load and the same account without a fault."""
        result = Result(kind="control", round=1, target="")
        with self._shelf() as shelf:
            self._wait_whole()
            with self._load(shelf) as running:
                began = time.monotonic()
                moment = FaultTime(began, began)
                course = Course(running.journal, "", began, moment)
                self._wait_for(CONTROL_SECONDS, "no fault, for comparison")
                self._wait_purchases(running, began, ENOUGH)
                course.ended = time.monotonic()
            self._account(None, course, shelf, result)
        return result

    def once(self, kind: Kind, number: int) -> Result:
        """Break one thing once, and heal it. Raises StackError when it could not be done."""
        result = Result(kind=kind.name, round=number, target="")
        with self._shelf() as shelf:
            self._wait_whole()
            self._watch.forget()
            with self._load(shelf) as running:
                course = self._course(kind, running)
            result.target = course.target
            self._account(kind, course, shelf, result)
        return result

    def _course(self, kind: Kind, running: Load) -> Course:
        began = time.monotonic()
        self._wait_purchases(running, began, ENOUGH)
        target = self._target(kind)
        address = self._rig.address(target) if kind.target == "catalog" else ""
        self._say(f"{kind.fault} {target}")
        start = time.monotonic()
        self._break(kind, target)
        fault = FaultTime(start, time.monotonic())
        course = Course(running.journal, target, began, fault, address=address)
        with self._fence(kind, course):
            self._wait_for(kind.hold(self._full), f"{target} stays so")
            if kind.sells_meanwhile:
                self._wait_purchases(running, fault.done, ENOUGH)
            self._say(f"{target} is mended")
            course.mended = time.monotonic()
            self._rig.mend()
            self._wait_whole()
            course.whole = time.monotonic()
        self._wait_purchases(running, course.whole, ENOUGH)
        course.ended = time.monotonic()
        return course

    def _target(self, kind: Kind) -> str:
        primary = self._watch.primary()
        if primary is None:
            raise StackError("the cluster lost its primary before anything was broken")
        match kind.target:
            case "primary":
                return primary
            case "standby":
                return next(node for node in self._rig.nodes if node != primary)
            case "catalog":
                return self._rig.catalog_instances()[0]
            case "dcs":
                return self._rig.dcs
            case "carts":
                return self._rig.carts
            case "streams":
                return self._rig.streams

    def _break(self, kind: Kind, target: str) -> None:
        match kind.fault:
            case "kill":
                self._rig.kill(target)
            case "crash_postmaster":
                self._rig.crash_postmaster(target)
            case "freeze":
                self._rig.freeze(target)
            case "cut":
                self._rig.cut(target)

    @contextmanager
    def _fence(self, kind: Kind, course: Course) -> Iterator[None]:
        """Try to commit on the old primary itself while it may still believe that it leads."""
        over = threading.Event()

        def try_on() -> None:
            while not over.is_set():
                answer = self._rig.acknowledges(course.target, 2)
                if answer is not None:
                    course.fence.append(answer)
                over.wait(0.1)

        thread = threading.Thread(target=try_on, daemon=True)
        if kind.fault in ("freeze", "cut"):
            thread.start()
        try:
            yield
        finally:
            over.set()
            if thread.ident:
                thread.join(30)

    def _load(self, shelf: Shelf) -> Any:
        for person in self._people:
            person.freshen()
        return load(self._rig.url, self._people, shelf, self._rate, FINISH_SECONDS)

    @contextmanager
    def _shelf(self) -> Iterator[Shelf]:
        """Two products of this drill's own, which are taken off sale at its end."""
        self._manager.freshen()
        made = []
        # The scarce one sells out some seconds after purchases are back.
        for name, stock in (("farto", 1_000_000), ("escasso", round(max(self._rate, 4) * 3))):
            body = {
                "sku": f"SIMULADO-{time.time_ns()}",
                "name": f"Simulado, produto {name}",
                "description": "Only for a drill.",
                "category_id": 1,
                "price_cents": 100,
                "stock": stock,
            }
            made.append((self._manage("POST", "/api/products", body)["id"], stock))
        try:
            yield Shelf(made[0][0], made[1][0], dict(made))
        finally:
            for product, _ in made:
                self._manage("DELETE", f"/api/products/{product}")

    def _manage(self, method: str, path: str, body: Any = None) -> Any:
        return self._manager.client.must(method, path, body, self._manager.headers)

    def _wait_whole(self) -> None:
        self._say("waiting for a primary with a synchronous standby")
        self._wait(self._watch.whole, WHOLE_SECONDS, "the cluster is not whole")

    def _wait_purchases(self, running: Load, since: float, count: int) -> None:
        self._say("waiting for purchases")
        enough = f"no {count} purchases went through"
        journal = running.journal
        self._wait(lambda: journal.acknowledged_after(since) >= count, BACK_SECONDS, enough)

    def _wait_for(self, seconds: float, text: str) -> None:
        until = time.monotonic() + seconds
        if seconds:
            self._say(f"{text} for {seconds:g} s")
        self._wait(lambda: time.monotonic() >= until, seconds + 1, text)

    @staticmethod
    def _wait(condition: Callable[[], bool], seconds: float, complaint: str) -> None:
        limit = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > limit:
                raise StackError(f"{complaint} after {seconds:g} s")
            time.sleep(0.05)

    def _account(self, kind: Kind | None, course: Course, shelf: Shelf, result: Result) -> None:
        self._say("counting orders, auditing")
        journal, fault = course.journal, course.fault
        result.began = fault.began + UNIX_OFFSET
        self._spans(kind, course, result)
        since = fault.began if kind else 0.0
        result.calls = len(journal.calls)
        result.lost_calls = figures.lost_calls(journal.calls, ("order", "cart", "read"), since)
        result.unusable = figures.unusable(journal.calls, since)
        result.machine_load = os.getloadavg()[0]
        result.lost_reads = figures.lost_calls(journal.calls, ("read",), since)
        result.improper_calls = figures.improper_calls(journal.calls, fault.began)
        result.fence_attempts = len(course.fence)
        result.fence_acknowledged = sum(course.fence)
        self._count(course, shelf, result)
        result.audit_holds, result.audit = self._rig.audit()
        result.checks = checks(kind, result, full=self._full)

    def _spans(self, kind: Kind | None, course: Course, result: Result) -> None:
        journal, fault = course.journal, course.fault
        acknowledged = journal.acknowledged()
        result.down = figures.down_seconds(acknowledged, fault.began, course.ended)
        seconds = int(course.ended - course.began) + 1
        result.per_second = [0] * seconds
        for moment in acknowledged:
            if course.began <= moment < course.began + seconds:
                result.per_second[int(moment - course.began)] += 1
        if kind is None:
            return
        result.fault_second = fault.began - course.began
        result.mended_second = course.mended - course.began
        result.recovery = course.whole - course.mended
        result.failover = figures.failover_seconds(journal.purchases, fault)
        detected = self._detected(kind, course)
        result.detection = None if detected is None else detected - fault.began
        self._promotion(kind, course, result)

    def _promotion(self, kind: Kind, course: Course, result: Result) -> None:
        if kind.target not in ("primary", "standby", "dcs"):
            return
        old = course.target if kind.target == "primary" else None
        before = max(
            (v.timeline for v in self._watch.views if v.at < course.fault.began), default=0
        )
        after = max(view.timeline for view in self._watch.latest())
        result.demoted = after != before
        others = [view for view in self._watch.views if view.leads and view.node != old]
        promoted = next((v for v in others if v.at > course.fault.began), None)
        if not kind.fails_over or promoted is None:
            return
        result.promotion = promoted.at - course.fault.began
        result.promoted_node = promoted.node
        lines = list(self._rig.service_lines(course.fault.began + UNIX_OFFSET))
        writers = self._rig.writers()
        result.first_writes = figures.first_writes(lines, writers, promoted.at)
        result.read_only_errors = figures.read_only_errors(lines, promoted.at)

    def _detected(self, kind: Kind, course: Course) -> float | None:
        """When the fault was noticed first, by who has to act on it."""
        after, target = course.fault.began, course.target
        match kind.target:
            case "primary":
                # Nobody holds the lock any more, or another node does.
                return self._watch.first(
                    after, lambda v: v.node != target and v.asked_store and v.holder != target
                )
            case "standby":
                return self._watch.first(
                    after,
                    lambda v: v.node != target and v.asked_store and target not in v.synchronous,
                )
            case "dcs":
                return self._watch.first(after, lambda v: v.failsafe)
            case "catalog":
                lines = self._rig.gateway_lines(after + UNIX_OFFSET)
                return figures.passed_on(lines, course.address, after)
            case "carts":
                calls = course.journal.calls
                refused = [c.ended for c in calls if c.ended > after and c.status == 503]
                return min(refused, default=None)
            case "streams":
                return None

    def _count(self, course: Course, shelf: Shelf, result: Result) -> None:
        """Ask, as their owners, for every order of this drill; look at the stock."""
        limit = time.monotonic() + _SETTLE_SECONDS
        while True:
            orders = [order for who in self._people for order in self._orders_of(who, shelf)]
            # An order that nobody waits for any more is finished or undone by the recovery.
            if not any(each["status"] in ("pending", "reserved", "paid") for each in orders):
                break
            if time.monotonic() > limit:
                break
            time.sleep(0.5)
        journal = course.journal
        statuses = {each["id"]: each["status"] for each in orders}
        books = figures.compare(journal.purchases, journal.replays, statuses)
        result.acknowledged, result.unknown = books.acknowledged, books.unknown
        result.lost, result.duplicates = books.lost, books.duplicates
        sold: dict[int, int] = dict.fromkeys(shelf.supplied, 0)
        for order in orders:
            for line in order["items"] if order["status"] in SOLD else ():
                sold[line["product_id"]] += line["quantity"]
        available = {product: self._stock(product) for product in shelf.supplied}
        result.oversold = figures.oversold_units(shelf.supplied, available, sold)

    @staticmethod
    def _orders_of(who: Account, shelf: Shelf) -> list[dict[str, Any]]:
        """Every order of a shopper for this drill's products, whatever became of it."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            path = f"/api/orders?limit=100{cursor}"
            page = who.client.must("GET", path, headers=who.headers)
            mine = [
                each
                for each in page["items"]
                if not each["items"]
                or any(line["product_id"] in shelf.supplied for line in each["items"])
            ]
            found += mine
            # The newest come first.
            if not page["next_cursor"] or not mine:
                return found
            cursor = f"&cursor={page['next_cursor']}"

    def _stock(self, product: int) -> int:
        # A token that no standby can have replayed sends the read to the primary.
        headers = {"X-Consistency-Token": "catalog:FFFFFFFF/FFFFFFFF"}
        path = f"/api/products/{product}"
        return int(self._manager.client.must("GET", path, headers=headers)["stock"])
