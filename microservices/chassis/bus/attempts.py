"""How often an event is tried, on whichever bus it comes."""

from __future__ import annotations

import json
from collections.abc import Callable

import structlog

from chassis.bus.port import MOST_ATTEMPTS, Handler, away
from chassis.events import Event

log = structlog.get_logger()


class Attempts:
    """Gives events to a handler, and counts for those that fail."""

    def __init__(self, handle: Handler, set_aside: Callable[[str, str, str], None]) -> None:
        """Nothing is kept across a restart: the count begins anew then.

        Args:
            handle: gives an event its effect.
            set_aside: takes (where it was, the event's text, the error) of one that is given up.
        """
        self._handle = handle
        self._set_aside = set_aside
        self._failed: dict[str, int] = {}

    def take(self, place: str, document: str) -> None:
        """Return when the event had its effect, or is set aside.

        Args:
            place: names the event's entry on the bus.
            document: the event in JSON, or whatever else was there.

        Raises:
            Exception: it failed, and is to be tried again.
        """
        try:
            self._handle(Event.parse(json.loads(document)))
        except away():
            raise  # not the event's fault: it is tried again until they are back
        except Exception as error:
            count = self._failed[place] = self._failed.get(place, 0) + 1
            if count < MOST_ATTEMPTS:
                raise
            log.error("event_set_aside", place=place, error=repr(error)[:300])
            self._set_aside(place, document, repr(error)[:1000])
        self._failed.pop(place, None)
