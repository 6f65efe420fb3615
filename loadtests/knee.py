"""A load that grows in stages until the shop is saturated, and says where that was.

`make load HEADLESS=1 SHAPE=knee` adds it to the locustfile, whose users and pauses stay the same.
"""

from __future__ import annotations

import math
import time
from typing import Any

from locust import LoadTestShape, events
from locust.env import Environment
from locust.runners import WorkerRunner

from loadtests.saturation import Stage, is_over, knee, table
from loadtests.thresholds import LIMITED, group_of

GROWTH = 1.5
MOST_USERS = 20_000


class Knee(LoadTestShape):
    """Begins with --users, and has half as many more in each stage."""

    use_common_options = True

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.stages: list[Stage] = []
        self._users = 0
        # When this stage is measured from, once all of its users are there.
        self._from = 0.0
        self._before = (0, 0, 0)

    def tick(self) -> tuple[int, float] | None:
        """Users and how many come per second; None ends the load."""
        assert self.runner is not None and self.runner.environment.parsed_options is not None
        options = self.runner.environment.parsed_options
        self._users = self._users or int(options.num_users or 1)
        now, there = time.monotonic(), self.runner.user_count >= self._users
        if not self._from and there:
            # They have just come: what they are measured by begins when they have settled.
            self._from = now + options.stage_seconds / 2
        if self._from and self._before == (0, 0, 0) and now >= self._from:
            self._from, self._before = now, self._counts()
        if self._before != (0, 0, 0) and now >= self._from + options.stage_seconds:
            self.stages.append(self._stage(now - self._from))
            if is_over(self.stages) or self._users >= MOST_USERS:
                return None
            self._users = min(MOST_USERS, math.ceil(self._users * GROWTH))
            self._from, self._before = 0.0, (0, 0, 0)
        # A stage's users come within its own time.
        return self._users, max(float(options.spawn_rate or 1), self._users / options.stage_seconds)

    def _counts(self) -> tuple[int, int, int]:
        """Answers, refusals by a limit, and failures so far."""
        assert self.runner is not None
        total = self.runner.stats.total
        entries = self.runner.stats.entries.values()
        refused = sum(e.num_requests for e in entries if group_of(e.name) == LIMITED)
        return total.num_requests, refused, total.num_failures

    def _stage(self, seconds: float) -> Stage:
        assert self.runner is not None
        answers, refused, failed = (
            now - before for now, before in zip(self._counts(), self._before, strict=True)
        )
        p95 = self.runner.stats.total.get_current_response_time_percentile(0.95)
        good = (answers - refused - failed) / seconds
        return Stage(self._users, good, float(p95 or 0), refused, failed)


@events.init_command_line_parser.add_listener  # type: ignore[untyped-decorator]
def _add_options(parser: Any) -> None:
    parser.add_argument("--stage-seconds", type=float, default=10.0, help="how long a stage lasts")


@events.quitting.add_listener  # type: ignore[untyped-decorator]
def _tell(environment: Environment, **_: object) -> None:
    """Print the stages; exit code 1 when the load ended before the shop was saturated."""
    shape = environment.shape_class
    if isinstance(environment.runner, WorkerRunner) or not isinstance(shape, Knee):
        return
    for line in table(shape.stages):
        print(line)
    found = knee(shape.stages)
    if found is None:
        print("No knee: the load ended before the shop was saturated.")
    else:
        print(f"The knee: {found.users} users, {found.good:.0f} right answers a second")
    if any(stage.refused for stage in shape.stages):
        print("Some were refused with 429: with the limits raised the knee may lie further on.")
    environment.process_exit_code = int(found is None)
