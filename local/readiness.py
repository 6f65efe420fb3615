"""Waiting for processes: until they serve, or until it is plain that they will not."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from urllib.parse import urlsplit

import psutil

from local.errors import StackError
from local.http_call import call
from local.process import Process
from local.settings import Settings
from local.supervision import State, Supervisor

# Starts of one process within one start of the stack; after the last one it is given up on.
_ATTEMPTS = 4


class Readiness:
    """Watches the processes of one stack while it starts. Safe to use from several threads."""

    def __init__(self, settings: Settings, supervisor: Supervisor) -> None:
        self._settings = settings
        self._supervisor = supervisor
        self._starts: dict[str, set[int]] = {}
        self.cancelled = threading.Event()

    def begin(self) -> None:
        """Forget what was seen in an earlier start."""
        self.cancelled.clear()
        self._starts.clear()

    def forget(self, name: str) -> None:
        """Begin anew with one process, which was stopped on purpose."""
        self._starts.pop(name, None)

    def wait(
        self,
        processes: Mapping[str, Process],
        names: Iterable[str],
        seconds: float | None = None,
    ) -> None:
        """Wait until the named processes run, and those with a /ready answer 200.

        Raises StackError for the first that keeps ending, or is not ready in time.
        """
        waiting = list(names)
        seconds = self._settings.start_seconds if seconds is None else seconds
        limit = time.monotonic() + seconds
        last: dict[str, str] = {}
        while True:
            states = self.check(waiting)
            waiting = [name for name in waiting if not _ready(processes[name], states[name], last)]
            if not waiting:
                return
            if time.monotonic() > limit:
                reason = f"is not ready after {seconds:.0f} s: {last.get(waiting[0], '')}"
                raise self.failure(waiting[0], reason)
            self.pause(0.1)

    def check(self, names: Iterable[str]) -> dict[str, State]:
        """All states; raises StackError if one of the named processes keeps ending."""
        states = self._supervisor.states()
        for name in names:
            if self.keeps_ending(name, states):
                raise self.failure(name, f"keeps ending: {states[name].detail}")
        return states

    def keeps_ending(self, name: str, states: Mapping[str, State] | None = None) -> bool:
        """Whether a process was started too often to hope for more."""
        state = (states or self._supervisor.states())[name]
        starts = self._starts.setdefault(name, set())
        starts.add(state.started)
        return state.state == "FATAL" or len(starts) > _ATTEMPTS

    def failure(self, name: str, reason: str) -> StackError:
        """The error that names the process and its log."""
        return StackError(reason, process=name, log=self._settings.logs / f"{name}.log")

    def pause(self, seconds: float) -> None:
        """Wait a little; raises StackError when the start was given up meanwhile."""
        if self.cancelled.wait(seconds):
            raise StackError("the start was given up")

    def together(self, *tasks: Callable[[], None]) -> None:
        """Run tasks side by side; the first failure is raised and the others are given up."""
        pool = ThreadPoolExecutor(len(tasks))
        try:
            futures = [pool.submit(task) for task in tasks]
            for future in wait(futures, return_when=FIRST_EXCEPTION).done:
                future.result()
        except BaseException:
            self.cancelled.set()
            raise
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def _ready(process: Process, state: State, last: dict[str, str]) -> bool:
    """Whether one process serves; if not, `last` is told why."""
    if state.state != "RUNNING":
        last[process.name] = f"{state.state} {state.detail}"
        return False
    if process.ready_url is None:
        return True
    try:
        answer = call("GET", process.ready_url, timeout=5)
    except OSError as error:
        last[process.name] = str(error)
        return False
    if not _listens(state.pid, urlsplit(process.ready_url).port):
        # It was free when the start began; a server tries for seconds to get it.
        last[process.name] = f"{process.ready_url} is answered by another process"
        return False
    last[process.name] = f"{answer.status} {answer.text[:300]}"
    return answer.status == 200


def _listens(pid: int, port: int | None) -> bool:
    """Whether this process itself listens on a TCP port."""
    try:
        connections = psutil.Process(pid).net_connections("tcp")
    except psutil.Error:
        return False
    return any(
        each.status == psutil.CONN_LISTEN and getattr(each.laddr, "port", None) == port
        for each in connections
    )
