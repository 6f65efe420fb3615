"""Calls to other services: pooled connections, a deadline on each, instances in turn.

Outcomes that are never mixed up: an answer; `Unreachable` (no instance took the request, nothing
happened there); `OutcomeUnknown` (it was sent and no usable answer came: it may have had its
effect). Of the unknown ones, `NoAnswer` is silence, and `NotNow` a service that says 503.
"""

from __future__ import annotations

import itertools
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError, ProtocolError
from urllib3.exceptions import TimeoutError as NoAnswerInTime

from chassis import correlation, deadline, tracer, tracing
from chassis.deadline import DeadlinePassed
from chassis.instances import Instances
from chassis.problems import Unavailable

CONNECT_SECONDS = 1.0
# With less than this nothing is sent: no service answers as soon, so it would only look silent.
LEAST_SECONDS = 0.02
# How long an instance that did not answer in time is asked after all others.
SILENT_SECONDS = 10.0
# How many are silent or say 503 before the call is given up.
MOST_IN_VAIN = 2
# To more of them than this no connections are kept.
MOST_INSTANCES = 64


class Unreachable(Unavailable):
    """No instance of the service took the request; it had no effect."""


class NoTime(Unreachable, DeadlinePassed):
    """Nothing was sent, for lack of time: it says nothing of the service."""


class OutcomeUnknown(Unavailable):
    """The request was sent and no usable answer came; it may have had its effect."""


class NoAnswer(OutcomeUnknown):
    """The request was sent, and whoever took it said nothing in time."""


class NotNow(OutcomeUnknown):
    """The service answered 503: it lives, and waits for something itself."""


@dataclass(frozen=True)
class Answer:
    """Status, decoded JSON body (None if there is none) and headers of an answer."""

    status: int
    body: Any
    headers: dict[str, str]


@dataclass(frozen=True)
class _Request:
    method: str
    path: str
    data: bytes | None
    headers: dict[str, str]


class ServiceClient:
    """A client of one service with one or more instances."""

    def __init__(self, name: str, urls: str, *, pool_size: int, service_token: str) -> None:
        """Nothing connects before the first call.

        Args:
            name: of the service, for messages.
            urls: base URLs, separated by commas; a name stands for all instances behind it.
            pool_size: connections kept open to each instance.
            service_token: sent as X-Service-Token.
        """
        self.name = name
        self._instances = Instances(urls.split(","))
        self._turn = itertools.count()
        self._silent_until: dict[str, float] = {}
        self._headers = {"X-Service-Token": service_token, "Accept": "application/json"}
        self._pool = urllib3.PoolManager(
            num_pools=MOST_INSTANCES, maxsize=pool_size, retries=False, block=False
        )

    def call(
        self,
        method: str,
        path: str,
        *,
        seconds: float,
        body: Any = None,
        headers: dict[str, str] | None = None,
        repeatable: bool,
    ) -> Answer:
        """Call one instance, then another when the first could not be asked.

        While there is another one that is not known to be silent, the first gets half of the time;
        after an unanswered call no silent one is asked, and none after two that did not help: a
        service that is slow as a whole is not asked more often than otherwise, however many
        instances it has. Each is told how long it has.

        Args:
            method, path: of the request; the path starts with `/`.
            seconds: the longest wait in all; the deadline of the work at hand may shorten it.
            body: sent as JSON unless None.
            headers: added to the service's own.
            repeatable: whether a request whose outcome is unknown may be sent once more, which
                is so for reads and for calls that are idempotent by an id of the caller.

        Raises:
            Unreachable: nothing was sent; `NoTime` when nobody was even tried.
            OutcomeUnknown: sent without an answer, or the service answered 5xx.
        """
        request = self._request(method, path, body, headers or {})
        unknown: OutcomeUnknown | None = None
        tried, in_vain = False, 0
        with deadline.within(seconds):
            bases = self._instances.now()
            for base in self._candidates(bases):
                if deadline.remaining() < LEAST_SECONDS or (unknown and self._is_silent(base)):
                    continue
                tried = True
                shared = repeatable and not in_vain and self._another_answers(base, bases)
                try:
                    return self._ask(base, request, deadline.remaining() / (2 if shared else 1))
                except Unreachable:
                    continue
                except OutcomeUnknown as error:
                    # Of two instances, what the one that lives says counts more.
                    if unknown is None or isinstance(unknown, NoAnswer):
                        unknown = error
                    in_vain += isinstance(error, NoAnswer | NotNow)
                if not repeatable or in_vain == MOST_IN_VAIN:
                    break
        if not tried:
            raise NoTime(f"There was no time left to ask the {self.name} service.")
        raise unknown or Unreachable(f"The {self.name} service cannot be reached.")

    def _request(self, method: str, path: str, body: Any, headers: dict[str, str]) -> _Request:
        all_headers = self._headers | headers
        if body is None:
            return _Request(method, path, None, all_headers)
        data = json.dumps(body, separators=(",", ":")).encode()
        return _Request(method, path, data, all_headers | {"Content-Type": "application/json"})

    def _ask(self, base: str, request: _Request, seconds: float) -> Answer:
        span = tracing.span(f"{request.method} {self.name}", "client", **{"server.address": base})
        with span, deadline.within(seconds):
            try:
                answer = self._send(base, request, seconds)
            except NewConnectionError as error:
                raise Unreachable from error
            except NoAnswerInTime as error:
                self._silent_until[base] = time.monotonic() + SILENT_SECONDS
                if isinstance(error, ConnectTimeoutError):
                    raise Unreachable from error
                raise NoAnswer(f"The {self.name} service did not answer in time.") from error
            except HTTPError as error:
                raise self._unusable() from error
        self._silent_until.pop(base, None)
        if answer.status == 503:
            raise NotNow(f"The {self.name} service is not able to at the moment.")
        if answer.status >= 500:
            raise self._unusable()
        return answer

    def _send(self, base: str, request: _Request, seconds: float) -> Answer:
        response = self._pool.request(
            request.method,
            base + request.path,
            body=request.data,
            headers=request.headers | _correlation() | deadline.header(),
            redirect=False,
            timeout=urllib3.Timeout(connect=min(CONNECT_SECONDS, seconds), total=seconds),
        )
        try:
            body = json.loads(response.data) if response.data else None
        except ValueError as error:
            raise ProtocolError("the answer is not JSON") from error
        return Answer(response.status, body, dict(response.headers))

    def _unusable(self) -> OutcomeUnknown:
        return OutcomeUnknown(f"The {self.name} service gave no usable answer.")

    def _candidates(self, bases: list[str]) -> Iterator[str]:
        """Those that are known, and when none of them helped those that came since."""
        yield from self._in_turn(bases)
        yield from (base for base in self._instances.anew() if base not in bases)

    def _in_turn(self, bases: list[str]) -> list[str]:
        # One more try than there are instances: a kept-alive connection to a restarted
        # instance fails once before a fresh one works.
        start = next(self._turn)
        count = len(bases)
        in_turn = [bases[(start + i) % count] for i in range(count + 1)]
        return sorted(in_turn, key=self._is_silent)

    def _is_silent(self, base: str) -> bool:
        return time.monotonic() < self._silent_until.get(base, 0.0)

    def _another_answers(self, base: str, bases: list[str]) -> bool:
        return any(each != base and not self._is_silent(each) for each in bases)


def _correlation() -> dict[str, str]:
    names = {"requestid": "X-Request-Id", "traceparent": tracer.HEADER}
    return {names[name]: value for name, value in correlation.current().items()}
