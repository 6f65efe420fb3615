"""The kinds of drills: what is broken, for how long, and what was promised about it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from local.errors import StackError

Fault = Literal["kill", "crash_postmaster", "freeze", "cut"]
Target = Literal["primary", "standby", "dcs", "carts", "streams", "catalog"]


@dataclass(frozen=True)
class Kind:
    """One kind of drill.

    Attributes:
        name, title: as on the command line, and in words.
        target, fault: what is broken, and how.
        hold_seconds, full_hold_seconds: how long it stays so at least, everyday and with FULL=1;
            it stays so until purchases go through again where they are to.
        full_times: how often FULL=1 does it.
        longest_down_seconds: the longest span without an acknowledged purchase that passes.
        promise: the number of the promise in question, if there is one.
        fails_over: whether the other node is to become primary.
        sells_meanwhile: whether purchases are to go through while it is broken.
    """

    name: str
    title: str
    target: Target
    fault: Fault
    hold_seconds: float
    full_hold_seconds: float
    full_times: int
    longest_down_seconds: float
    promise: str = ""
    fails_over: bool = False
    sells_meanwhile: bool = True

    @property
    def fences(self) -> bool:
        """Whether it is asked to commit meanwhile, which it must not acknowledge."""
        return self.target == "primary" and self.fault in ("freeze", "cut")

    def hold(self, full: bool) -> float:
        """Seconds for which it stays broken at least."""
        return self.full_hold_seconds if full else self.hold_seconds

    def longest_down(self, full: bool) -> float:
        """The bound on the span without an acknowledged purchase, in seconds."""
        held = 0.0 if self.sells_meanwhile else self.hold(full)
        return held + self.longest_down_seconds


_ALL = (
    Kind(
        name="primary-host-loss",
        title="the primary's host is lost",
        target="primary",
        fault="kill",
        hold_seconds=0,
        full_hold_seconds=0,
        full_times=20,
        promise="19",
        longest_down_seconds=30,
        fails_over=True,
    ),
    Kind(
        name="postmaster-crash",
        title="the primary's PostgreSQL crashes",
        target="primary",
        fault="crash_postmaster",
        hold_seconds=0,
        full_hold_seconds=0,
        full_times=20,
        promise="20",
        longest_down_seconds=15,
        fails_over=True,
    ),
    Kind(
        name="primary-frozen",
        title="the primary's node freezes",
        target="primary",
        fault="freeze",
        hold_seconds=25,
        full_hold_seconds=60,
        full_times=10,
        promise="21",
        longest_down_seconds=45,
        fails_over=True,
    ),
    Kind(
        name="primary-cut-off",
        title="the primary is cut off from the network",
        target="primary",
        fault="cut",
        hold_seconds=25,
        full_hold_seconds=60,
        full_times=10,
        promise="21",
        longest_down_seconds=45,
        fails_over=True,
    ),
    Kind(
        name="standby-loss",
        title="the standby is lost",
        target="standby",
        fault="kill",
        hold_seconds=10,
        full_hold_seconds=10,
        full_times=20,
        promise="23",
        longest_down_seconds=20,
    ),
    Kind(
        name="dcs-loss",
        title="the store of locks is lost",
        target="dcs",
        fault="kill",
        hold_seconds=23,
        full_hold_seconds=300,
        full_times=1,
        promise="22",
        longest_down_seconds=20,
    ),
    Kind(
        name="redis-carts-loss",
        title="the store of carts is lost",
        target="carts",
        fault="kill",
        hold_seconds=5,
        full_hold_seconds=5,
        full_times=3,
        longest_down_seconds=15,
        sells_meanwhile=False,
    ),
    Kind(
        name="redis-streams-loss",
        title="the store of events is lost",
        target="streams",
        fault="kill",
        hold_seconds=5,
        full_hold_seconds=30,
        full_times=3,
        longest_down_seconds=15,
    ),
    Kind(
        name="catalog-instance-loss",
        title="an instance of the catalog is lost",
        target="catalog",
        fault="kill",
        hold_seconds=8,
        full_hold_seconds=8,
        full_times=3,
        longest_down_seconds=15,
    ),
    Kind(
        name="catalog-instance-frozen",
        title="an instance of the catalog freezes",
        target="catalog",
        fault="freeze",
        hold_seconds=8,
        full_hold_seconds=8,
        full_times=3,
        longest_down_seconds=15,
    ),
)
KINDS = {kind.name: kind for kind in _ALL}
ALIASES = {"redis-loss": ("redis-carts-loss", "redis-streams-loss")}


def chosen(text: str) -> list[Kind]:
    """The kinds that a list such as `standby-loss,redis-loss` names; all for an empty one.

    Raises StackError naming what is unknown.
    """
    names: list[str] = []
    for name in filter(None, (part.strip() for part in text.split(","))):
        if name not in KINDS and name not in ALIASES:
            known = ", ".join([*KINDS, *ALIASES])
            raise StackError(f"there is no drill {name!r}; there are {known}")
        names += ALIASES.get(name, (name,))
    return [KINDS[name] for name in dict.fromkeys(names or KINDS)]
