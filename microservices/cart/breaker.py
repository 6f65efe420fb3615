"""A circuit breaker around calls to another service."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

import pybreaker
import structlog

from chassis.metrics import CIRCUIT_OPENINGS
from chassis.problems import Unavailable

Result = TypeVar("Result")

log = structlog.get_logger()


class Breaker:
    """Leaves a service alone for a while after several failures in a row.

    pybreaker keeps the state and decides. It also holds a lock for as long as the guarded call
    takes, which would put all of a process's calls one behind another, so that a slow catalog
    makes a queue: calls are therefore made outside of it and their outcome told to it afterwards.
    Only the trial call after an opening is made inside, and the others do not wait for it.
    """

    def __init__(self, target: str, *, failures: int, reset_seconds: float) -> None:
        """Nothing is called before the first `call`.

        Args:
            target: name of the service, for the metric and messages.
            failures: calls that must fail in a row.
            reset_seconds: how long it is left alone then.
        """
        self._target = target
        self._reset = timedelta(seconds=reset_seconds)
        self._storage = pybreaker.CircuitMemoryStorage(pybreaker.STATE_CLOSED)
        self._breaker = pybreaker.CircuitBreaker(
            fail_max=failures,
            reset_timeout=reset_seconds,
            state_storage=self._storage,
            listeners=[_Openings(target)],
        )
        self._trial = threading.Lock()

    @property
    def state(self) -> str:
        """`closed`, `open` or `half-open`."""
        return self._storage.state

    def call(self, ask: Callable[[], Result]) -> Result:
        """Call the service unless it is being left alone.

        Args:
            ask: raises `Unavailable` when the service fails; any answer of the service that is
                not a failure must be returned.

        Raises:
            Unavailable: `ask` raised it, or was not called.
        """
        if self.state != pybreaker.STATE_CLOSED:
            return self._try_again(ask)
        try:
            answer = ask()
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

    def _try_again(self, ask: Callable[[], Result]) -> Result:
        opened = self._storage.opened_at
        early = opened is not None and datetime.now(UTC) < opened + self._reset
        if early or not self._trial.acquire(blocking=False):
            raise Unavailable(f"The {self._target} service is left alone for a while.")
        try:
            return self._breaker.call(ask)
        except pybreaker.CircuitBreakerError as error:
            raise Unavailable(f"The {self._target} service still fails.") from error
        finally:
            self._trial.release()


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
        if new_state.name == pybreaker.STATE_OPEN:
            CIRCUIT_OPENINGS.labels(self._target).inc()
