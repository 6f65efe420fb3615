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


class Attempts:
    """Gives events to a handler, and counts for those that fail."""

    def __init__(
        self, group: str, handle: Handler, set_aside: Callable[[str, str, str], None]
    ) -> None:
        """Nothing is kept across a restart: the count begins anew then.

        Args:
            group: the consuming service.
            handle: gives an event its effect.
            set_aside: takes (where it was, the event's text, the error) of one that is given up.
        """
        self._group = group
        self._handle = handle
        self._set_aside = set_aside
        self._failed: dict[str, int] = {}
        self._delay = metrics.EVENT_DELAY.labels(group)

    def take(self, place: str, document: str) -> None:
        """Return when the event had its effect, or is set aside.

        Args:
            place: names the event's entry on the bus.
            document: the event in JSON, or whatever else was there.

        Raises:
            Exception: it failed, and is to be tried again.
        """
        try:
            event = Event.parse(json.loads(document))
        except Exception as error:
            if not self._given_up(place, document, "none", error):
                raise
        else:
            name = f"handle {event.type}"
            with correlation.continued(event.context, name, "consumer", event_id=event.id):
                self._give(place, document, event)
        self._failed.pop(place, None)

    def _give(self, place: str, document: str, event: Event) -> None:
        try:
            self._handle(event)
        except away():
            # Not the event's fault: it is tried again until they are back.
            self._count(event.type, "failed")
            raise
        except Exception as error:
            if not self._given_up(place, document, event.type, error):
                raise
        else:
            self._count(event.type, "handled")
            with suppress(ValueError, TypeError):
                self._delay.observe(seconds_since(event.time))

    def _given_up(self, place: str, document: str, kind: str, error: Exception) -> bool:
        count = self._failed[place] = self._failed.get(place, 0) + 1
        if count < MOST_ATTEMPTS:
            self._count(kind, "failed")
            return False
        log.error("event_set_aside", place=place, error=repr(error)[:300])
        self._set_aside(place, document, repr(error)[:1000])
        self._count(kind, "set aside")
        return True

    def _count(self, kind: str, outcome: str) -> None:
        metrics.events(self._group, kind, outcome).inc()
