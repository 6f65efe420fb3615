"""One drill: a load, a fault, the healing, and the account of what it did."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from loadtests.drills.books import count
from loadtests.drills.evidence import Course, Evidence
from loadtests.drills.figures import RECONNECT_SECONDS, FaultTime
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
# In which every instance of the catalog is asked to write.
ASKED_SECONDS = 3.0


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
        with self._shelf() as shelf:
            self._wait_whole()
            with self._load(shelf) as running:
                began = time.monotonic()
                moment = FaultTime(began, began)
                course = Course(running.journal, "", began, moment)
                self._wait_for(CONTROL_SECONDS, "no fault, for comparison")
                self._wait_purchases(running, began, ENOUGH)
                course.ended = time.monotonic()
            return self._account(None, 1, course, shelf)

    def once(self, kind: Kind, number: int) -> Result:
        """Break one thing once, and heal it. Raises StackError when it could not be done."""
        with self._shelf() as shelf:
            self._wait_whole()
            self._watch.forget()
            with self._load(shelf) as running:
                course = self._course(kind, running)
            return self._account(kind, number, course, shelf)

    def _account(self, kind: Kind | None, number: int, course: Course, shelf: Shelf) -> Result:
        self._say("counting orders, auditing")
        result = Result(kind.name if kind else "control", number, course.target)
        evidence = Evidence(self._rig, self._watch, kind, course)
        evidence.spans(result)
        evidence.calls(result)
        count(self._people, self._manager, shelf, course.journal, result)
        result.audit_holds, result.audit = self._rig.audit()
        result.checks = checks(kind, result, full=self._full)
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
        if kind.fails_over:
            self._wait_reconnected(target, fault)
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
        if kind.fences:
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
            made.append((self._manager.must("POST", "/api/products", body)["id"], stock))
        try:
            yield Shelf(made[0][0], made[1][0], dict(made))
        finally:
            for product, _ in made:
                self._manager.must("DELETE", f"/api/products/{product}")

    def _wait_whole(self) -> None:
        self._say("waiting for a primary with a synchronous standby")
        self._wait(self._watch.whole, WHOLE_SECONDS, "the cluster is not whole")

    def _wait_purchases(self, running: Load, since: float, count: int) -> None:
        self._say("waiting for purchases")
        enough = f"no {count} purchases went through"
        journal = running.journal
        self._wait(lambda: journal.acknowledged_after(since) >= count, BACK_SECONDS, enough)

    def _wait_reconnected(self, target: str, fault: FaultTime) -> None:
        """Until each instance was asked to write later than it may still refuse that."""
        promoted = self._watch.first(fault.began, lambda v: v.leads and v.node != target)
        if promoted is not None:
            left = promoted + RECONNECT_SECONDS + ASKED_SECONDS - time.monotonic()
            self._wait_for(max(0.0, left), "purchases go on")

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
