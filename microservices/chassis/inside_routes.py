"""What every service tells the operators' door at orders: its stores, and its dead letters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from flask import Response
from flask_openapi3 import APIBlueprint, OpenAPI, Tag
from pydantic import Field

from chassis import bus, dead_letters, stores
from chassis.auth import allow
from chassis.clock import rfc3339
from chassis.schemas import Parameters, Shown, json_response, no_content
from chassis.settings import ServiceSettings

# gunicorn loads a service once, before it opens the port: all workers of an instance say the same.
STARTED_AT = rfc3339(datetime.now(UTC))


class LetterPath(Parameters):
    letter_id: str = Field(min_length=1, max_length=100, pattern="^[A-Za-z0-9._:-]+$")


class StoreShown(Shown):
    kind: str
    address: str
    state: str
    role: str | None
    milliseconds: float


class InsideShown(Shown):
    node: str
    instance: str
    started_at: str
    stores: list[StoreShown]


class LetterShown(Shown):
    id: str
    group: str
    service: str
    type: str | None
    subject: str | None
    error: str
    document: str


class LetterList(Shown):
    items: list[LetterShown]
    next_cursor: None


def register(
    app: OpenAPI,
    settings: ServiceSettings,
    group: str,
    checks: Callable[[], list[stores.Check]],
    handlers: Mapping[str, bus.Handler],
) -> None:
    """Add them to a service.

    Args:
        group: the service's consumer group.
        checks: the stores that it works with, and how to ask each.
        handlers: publishing service → what its events do here.
    """
    api = APIBlueprint("inside", __name__, abp_tags=[Tag(name="For services only")])
    url = settings.event_bus_url

    @api.get("/internal/parts", responses={200: InsideShown}, summary="This instance's stores")
    @allow("service")
    def parts() -> Response:
        found = stores.ask([*checks(), *stores.bus_checks(url)])
        this = {"node": settings.node_name, "instance": settings.instance, "started_at": STARTED_AT}
        return json_response({**this, "stores": found}, Cache_Control="no-store")

    @api.get("/internal/dead-letters", responses={200: LetterList}, summary="What was given up")
    @allow("service")
    def letters() -> Response:
        items = dead_letters.documents(url, group)
        return json_response({"items": items, "next_cursor": None}, Cache_Control="no-store")

    @api.post(
        "/internal/dead-letters/<letter_id>/replay",
        responses={204: None},
        summary="Give an event its effect now",
    )
    @allow("service")
    def replay(path: LetterPath) -> Response:
        dead_letters.replay(url, group, path.letter_id, handlers)
        return no_content()

    app.register_api(api)
