"""How often an event is tried, on whichever bus it comes."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress

import structlog

from chassis import correlation, metrics
from chassis.bus.port import MOST_ATTEMPTS, Handler, away
from chassis.clock import seconds_since
from chassis.events import Event

log = structlog.get_logger()


class ProcessEnded(Exception):
    """Whoever handled the event was gone before it was done, and that again and again."""


class Attempts:
    """Gives events to a handler, as often as each may be tried."""

    def __init__(
        self, group: str, handle: Handler, set_aside: Callable[[str, str, str], None]
    ) -> None:
        """The bus counts, so that a process that dies takes no count with it.

        Args:
            group: the consuming service.
            handle: gives an event its effect.
            set_aside: takes (where it was, the event's text, the error) of one that is given up.
        """
        self._group = group
        self._handle = handle
        self._set_aside = set_aside
        self._delay = metrics.EVENT_DELAY.labels(group)

    def take(self, place: str, document: str, tried: int) -> None:
        """Return when the event had its effect, or is set aside.

        Args:
            place: names the event's entry on the bus.
            document: the event in JSON, or whatever else was there.
            tried: how often it was begun before, here or by a process that is no more; a try that
                met an absent store is none.

        Raises:
            Exception: it failed, and is to be tried again.
        """
        try:
            event = Event.parse(json.loads(document))
        except Exception as error:
            if not self._given_up(place, document, "none", error, tried + 1):
                self._count("none", "failed")
                raise
        else:
            name = f"handle {event.type}"
            with correlation.continued(event.context, name, "consumer", event_id=event.id):
                self._give(place, document, event, tried)

    def _give(self, place: str, document: str, event: Event, tried: int) -> None:
        if self._given_up(place, document, event.type, ProcessEnded(f"in try {tried}"), tried):
            return
        try:
            self._handle(event)
        except away():
            # Not the event's fault: it is tried again until they are back.
            self._count(event.type, "failed")
            raise
        except Exception as error:
            if not self._given_up(place, document, event.type, error, tried + 1):
                self._count(event.type, "failed")
                raise
        else:
            self._count(event.type, "handled")
            with suppress(ValueError, TypeError):
                self._delay.observe(seconds_since(event.time))

    def _given_up(self, place: str, document: str, kind: str, error: Exception, tried: int) -> bool:
        if tried < MOST_ATTEMPTS:
            return False
        log.error("event_set_aside", place=place, error=repr(error)[:300])
        self._set_aside(place, document, repr(error)[:1000])
        self._count(kind, "set aside")
        return True

    def _count(self, kind: str, outcome: str) -> None:
        metrics.events(self._group, kind, outcome).inc()
