"""Calls to the door of another branch."""

from __future__ import annotations

import json
from typing import Any

import urllib3
from urllib3.exceptions import HTTPError

from chassis import deadline
from chassis.branches import Peer
from chassis.problems import Unavailable

PATH = "/replica/event"
TOKEN_HEADER = "X-Replica-Token"
CONNECT_SECONDS = 1.0


class PeerAway(Unavailable):
    """A peer could not be asked, or does not let this branch in; what was sent may have arrived."""


class EpochIsOver(PeerAway):
    """The peer knows a later epoch of this branch; `known` is how far it heard of it."""

    def __init__(self, detail: str, known: dict[str, int]) -> None:
        super().__init__(detail)
        self.known = known


class Refused(Exception):
    """The peer answered 4xx: what was sent will never be taken as it is."""

    def __init__(self, status: int, detail: str) -> None:
        super().__init__(f"{status} {detail}")


class PeerClient:
    """One peer's door. Safe to use from several threads."""

    def __init__(self, peer: Peer) -> None:
        """Nothing connects before the first call."""
        self.name = peer.name
        self._url = peer.url + PATH
        self._headers = {"Content-Type": "application/json", TOKEN_HEADER: peer.token}
        self._pool = urllib3.PoolManager(maxsize=4, retries=False)

    def send(self, data: bytes, *, seconds: float) -> dict[str, Any]:
        """Hand over one event or a list, as JSON; the peer's answer (see `door`).

        Raises:
            PeerAway: no answer in time, 5xx, or a 4xx that says nothing of the events.
            Refused: any other 4xx.
        """
        wait = min(seconds, deadline.remaining())
        timeout = urllib3.Timeout(connect=min(CONNECT_SECONDS, wait), total=wait)
        try:
            answer = self._pool.request(
                "POST",
                self._url,
                body=data,
                headers=self._headers | deadline.header(),
                redirect=False,
                timeout=timeout,
            )
            body = json.loads(answer.data) if answer.data else {}
        except (HTTPError, ValueError) as error:
            raise PeerAway(f"{self.name}: {type(error).__name__}") from error
        if answer.status == 200:
            found: dict[str, Any] = body
            return found
        detail = str(body.get("detail", ""))[:200] if isinstance(body, dict) else ""
        if answer.status == 409 and "known" in body:
            raise EpochIsOver(f"{self.name}: {detail}", body["known"])
        # What is not among these is about the door or who knocks, and not about the events.
        if answer.status in (400, 413, 415, 422):
            raise Refused(answer.status, detail)
        raise PeerAway(f"{self.name} answered {answer.status} {detail}")
