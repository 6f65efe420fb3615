"""The result of one drill, and whether it keeps what was promised."""

from __future__ import annotations

from dataclasses import dataclass, field

from loadtests.drills.figures import RECONNECT_SECONDS
from loadtests.drills.kinds import Kind


@dataclass
class Result:
    """What one drill found; docs/drills.md defines each figure. Spans are in seconds.

    Attributes:
        began: Unix time at which the fault began.
        per_second: confirmed purchases of each second, the load's first second first, and
            `fault_second`, `mended_second` on that scale.
        machine_load: processes that wanted a processor, as an average of a minute, at the end.
        audit: the report of the audit.
    """

    kind: str
    round: int
    target: str
    began: float = 0.0
    detection: float | None = None
    promotion: float | None = None
    failover: float | None = None
    down: float = 0.0
    recovery: float | None = None
    calls: int = 0
    lost_calls: int = 0
    lost_reads: int = 0
    unusable: dict[str, int] = field(default_factory=dict)
    improper_calls: int = 0
    acknowledged: int = 0
    unknown: int = 0
    lost: int = 0
    duplicates: int = 0
    oversold: int = 0
    promoted_node: str | None = None
    demoted: bool = False
    first_writes: dict[str, float | None] = field(default_factory=dict)
    read_only_errors: list[str] = field(default_factory=list)
    fence_attempts: int = 0
    fence_acknowledged: int = 0
    machine_load: float = 0.0
    audit_holds: bool = False
    audit: str = ""
    per_second: list[int] = field(default_factory=list)
    fault_second: float | None = None
    mended_second: float | None = None
    checks: list[Check] = field(default_factory=list)
    # Why the drill was broken off, if it was.
    error: str = ""

    @property
    def passed(self) -> bool:
        """Whether it was done and every check holds."""
        return not self.error and all(each.holds for each in self.checks)

    @property
    def slowest_write(self) -> float | None:
        """The longest time that an instance needed to write after the promotion."""
        return max((each for each in self.first_writes.values() if each is not None), default=None)


@dataclass(frozen=True)
class Check:
    """One thing that has to be so."""

    text: str
    holds: bool


def checks(kind: Kind | None, result: Result, *, full: bool) -> list[Check]:
    """What has to be so after a drill of a kind, or after one without a fault (None)."""
    found = [
        _none("acknowledged purchases lost", result.lost),
        _none("duplicated purchases", result.duplicates),
        _none("units oversold", result.oversold),
        _none("purchases whose outcome stayed unknown", result.unknown),
        Check("the audit holds", result.audit_holds),
    ]
    if kind is None:
        return [*found, _none("calls without a usable answer", result.lost_calls)]
    bound = kind.longest_down(full)
    found.append(Check(f"down for {result.down:.1f} s, at most {bound:g} s", result.down <= bound))
    # What a killed instance was doing is lost, and without carts nothing is bought.
    if kind.target != "carts" and (kind.target, kind.fault) != ("catalog", "kill"):
        found.append(_none("reads without a usable answer", result.lost_reads))
        found.append(
            _none("checkouts refused without a 503 and Retry-After", result.improper_calls)
        )
    if kind.fails_over:
        found += _after_promotion(result)
    elif kind.target in ("dcs", "standby"):
        found.append(Check("the primary stayed primary", not result.demoted))
    if kind.fences:
        text = f"transactions of {result.fence_attempts} that the old primary acknowledged"
        found.append(_none(text, result.fence_acknowledged))
        found.append(Check("the old primary was asked to commit", result.fence_attempts > 0))
    return found


def _after_promotion(result: Result) -> list[Check]:
    late = [name for name, seconds in result.first_writes.items() if seconds is None]
    return [
        Check("the other node became primary", result.promotion is not None),
        Check(
            f"every instance wrote within {RECONNECT_SECONDS:g} s of the promotion"
            + (f"; not {', '.join(late)}" if late else ""),
            bool(result.first_writes) and not late,
        ),
        _none(
            ": ".join(["writes on a read-only node after that", *result.read_only_errors[:1]]),
            len(result.read_only_errors),
        ),
    ]


def _none(what: str, count: int) -> Check:
    return Check(f"{count} {what}", count == 0)
