"""What a drill's course says: its spans and calls as figures."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from loadtests.drills import figures
from loadtests.drills.figures import FaultTime
from loadtests.drills.journal import UNIX_OFFSET, Journal
from loadtests.drills.kinds import Kind
from loadtests.drills.rig import Rig
from loadtests.drills.verdict import Result
from loadtests.drills.watch import Watch


@dataclass
class Course:
    """What happened in one drill, besides what shoppers saw; times as the journal has them.

    Attributes:
        target: the part that was broken.
        began, ended: of the load.
        mended, whole: when the mending began, and when the cluster was whole again.
        address: of the instance that was killed, as the gateway's log has it.
        fence: each time the old primary was asked to commit, whether it acknowledged that.
    """

    journal: Journal
    target: str
    began: float
    fault: FaultTime
    mended: float = 0.0
    whole: float = 0.0
    ended: float = 0.0
    address: str = ""
    fence: list[bool] = field(default_factory=list)


@dataclass(frozen=True)
class Evidence:
    """All that was seen of one drill; `kind` is None for one without a fault."""

    rig: Rig
    watch: Watch
    kind: Kind | None
    course: Course

    def calls(self, result: Result) -> None:
        """Note what shoppers and readers got."""
        calls, fault = self.course.journal.calls, self.course.fault
        since = fault.began if self.kind else 0.0
        result.calls = len(calls)
        result.lost_calls = figures.lost_calls(calls, ("order", "cart", "read"), since)
        result.lost_reads = figures.lost_calls(calls, ("read",), since)
        result.improper_calls = figures.improper_calls(calls, fault.began)
        result.unusable = figures.unusable(calls, since)
        result.fence_attempts = len(self.course.fence)
        result.fence_acknowledged = sum(self.course.fence)
        result.machine_load = os.getloadavg()[0]

    def spans(self, result: Result) -> None:
        """Note when what happened, and how long it took."""
        course, fault = self.course, self.course.fault
        result.began = fault.began + UNIX_OFFSET
        acknowledged = course.journal.acknowledged()
        result.down = figures.down_seconds(acknowledged, fault.began, course.ended)
        result.per_second = figures.per_second(acknowledged, course.began, course.ended)
        if self.kind is None:
            return
        result.fault_second = fault.began - course.began
        result.mended_second = course.mended - course.began
        result.recovery = course.whole - course.mended
        result.failover = figures.failover_seconds(course.journal.purchases, fault)
        detected = self._detected(self.kind)
        result.detection = None if detected is None else detected - fault.began
        if self.kind.target in ("primary", "standby", "dcs"):
            self._promotion(self.kind, result)

    def _promotion(self, kind: Kind, result: Result) -> None:
        views, began = self.watch.views, self.course.fault.began
        before = max((view.timeline for view in views if view.at < began), default=0)
        # A timeline only ever rises, and a Patroni that did not answer has none.
        result.demoted = max(view.timeline for view in views) > before
        promoted = next(
            (v for v in views if v.leads and v.at > began and v.node != self.course.target), None
        )
        if not kind.fails_over or promoted is None:
            return
        result.promotion = promoted.at - began
        result.promoted_node = promoted.node
        lines = list(self.rig.service_lines(began + UNIX_OFFSET))
        result.first_writes = figures.first_writes(lines, self.rig.writers(), promoted.at)
        result.read_only_errors = figures.read_only_errors(lines, promoted.at)

    def _detected(self, kind: Kind) -> float | None:
        """When the fault was noticed first, by who has to act on it."""
        course = self.course
        after, target = course.fault.began, course.target
        match kind.target:
            case "primary":
                # Nobody holds the lock any more, or another node does, or it acts on that already.
                return self.watch.first(
                    after,
                    lambda v: (
                        v.node != target and (v.leads or (v.asked_store and v.holder != target))
                    ),
                )
            case "standby":
                return self.watch.first(
                    after,
                    lambda v: v.node != target and v.asked_store and target not in v.synchronous,
                )
            case "dcs":
                return self.watch.first(after, lambda v: v.failsafe)
            case "catalog":
                lines = self.rig.gateway_lines(after + UNIX_OFFSET)
                return figures.passed_on(lines, course.address, after)
            case "carts":
                calls = course.journal.calls
                refused = [c.ended for c in calls if c.ended > after and c.status == 503]
                return min(refused, default=None)
            case "streams":
                return None
