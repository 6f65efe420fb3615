"""A circuit breaker around calls to another service."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pybreaker
import structlog

from chassis.deadline import DeadlinePassed
from chassis.http_client import Unreachable
from chassis.metrics import CIRCUIT_OPENINGS, CIRCUIT_STATE
from chassis.problems import Unavailable

Result = TypeVar("Result")

STATES = {pybreaker.STATE_CLOSED: 0.0, pybreaker.STATE_HALF_OPEN: 0.5, pybreaker.STATE_OPEN: 1.0}

log = structlog.get_logger()


class LeftAlone(Unreachable):
    """The service failed several times in a row and is not asked for a while."""


class Breaker:
    """Leaves a service alone for a while after several failures in a row.

    pybreaker keeps the state and decides. It also holds a lock for as long as the guarded call
    takes, which would put all of a process's calls one behind another, so that a slow catalog
    makes a queue: calls are therefore made outside of it and their outcome told to it afterwards.
    After an opening one call tries the service, and the others do not wait for it.

    A call that was not made for lack of time says nothing of the service, and is not told.
    """

    def __init__(
        self,
        target: str,
        *,
        failures: int,
        reset_seconds: float,
        no_failure: Sequence[type[Unavailable]] = (),
    ) -> None:
        """Nothing is called before the first `call`.

        Args:
            target: name of the service, for the metric and messages.
            failures: calls that must fail in a row.
            reset_seconds: how long it is left alone then.
            no_failure: what may be raised by a call to a service that is well.
        """
        self._target = target
        self._reset_seconds = reset_seconds
        self._storage = _Storage(pybreaker.STATE_CLOSED)
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=failures,
            reset_timeout=reset_seconds,
            exclude=list(no_failure),
            state_storage=self._storage,
            listeners=[_Openings(target)],
            throw_new_error_on_trip=False,
        )
        self._trial = threading.Lock()
        CIRCUIT_STATE.labels(target).set(STATES[self.state])
        CIRCUIT_OPENINGS.labels(target)

    @property
    def state(self) -> str:
        """`closed`, `open` or `half-open`."""
        return self._storage.state

    def check(self) -> None:
        """Raise LeftAlone when a call now would."""
        left = self._reset_seconds - self._storage.open_for()
        if self.state == pybreaker.STATE_OPEN and left > 0:
            raise self._left_alone(left)

    def call(self, ask: Callable[[], Result]) -> Result:
        """Call the service unless it is being left alone.

        Args:
            ask: raises `Unavailable` when the service fails; any answer of the service that is
                not a failure must be returned, or raised as one of `no_failure`.

        Raises:
            LeftAlone: `ask` was not called.
            Unavailable: `ask` raised it.
        """
        if self.state == pybreaker.STATE_CLOSED:
            return self._ask(ask)
        self.check()
        if not self._trial.acquire(blocking=False):
            raise self._left_alone(1)
        try:
            return self._ask(ask)
        finally:
            self._trial.release()

    def _ask(self, ask: Callable[[], Result]) -> Result:
        try:
            answer = ask()
        except DeadlinePassed:
            raise
        except Unavailable as error:
            self._tell(error)
            raise
        self._tell(None)
        return answer

    def _tell(self, error: Unavailable | None) -> None:
        def outcome() -> None:
            if error is not None:
                raise error

        try:
            self._breaker.call(outcome)
        except (pybreaker.CircuitBreakerError, Unavailable):
            return

    def _left_alone(self, seconds: float) -> LeftAlone:
        return LeftAlone(
            f"The {self._target} service is left alone for a while.",
            retry_after=math.ceil(seconds),
        )


class _Storage(pybreaker.CircuitMemoryStorage):
    """pybreaker's own, on a clock that is not set back."""

    _opened: float | None = None

    def open_for(self) -> float:
        """Seconds since it last opened; endless when it never did."""
        opened = self._opened
        return math.inf if opened is None else time.monotonic() - opened

    @property
    def opened_at(self) -> datetime | None:
        """What pybreaker compares with the wall clock, so that the difference is right."""
        opened = self._opened
        if opened is None:
            return None
        return datetime.now(UTC) - timedelta(seconds=time.monotonic() - opened)

    @opened_at.setter
    def opened_at(self, _: datetime) -> None:
        self._opened = time.monotonic()


class _Openings(pybreaker.CircuitBreakerListener):
    def __init__(self, target: str) -> None:
        self._target = target

    def state_change(
        self,
        cb: pybreaker.CircuitBreaker,
        old_state: pybreaker.CircuitBreakerState | None,
        new_state: pybreaker.CircuitBreakerState,
    ) -> None:
        log.warning("circuit_changed", target=self._target, state=new_state.name)
        CIRCUIT_STATE.labels(self._target).set(STATES[new_state.name])
        if new_state.name == pybreaker.STATE_OPEN:
            CIRCUIT_OPENINGS.labels(self._target).inc()
