"""HTTP of what operators see of the whole house: parse, call, status."""

from __future__ import annotations

from typing import Literal

from flask import Response
from flask_openapi3 import APIBlueprint, Tag
from pydantic import Field

from chassis import stores
from chassis.auth import allow
from chassis.inside_routes import LetterPath, LetterShown, StoreShown
from chassis.schemas import Shown, json_response, no_content
from orders import counter
from orders.ports import ports

api = APIBlueprint(
    "counter", __name__, url_prefix="/api", abp_tags=[Tag(name="The house (operators)")]
)


class ReplayPath(LetterPath):
    group: Literal["catalog", "cart", "orders"]


class PartShown(Shown):
    service: str
    address: str | None
    instance: str | None
    state: Literal["up", "away"]
    started_at: str | None = Field(description="Another one: it ended and was started again.")
    milliseconds: float
    stores: list[StoreShown]


class PartList(Shown):
    items: list[PartShown]
    next_cursor: None


class AllLetters(Shown):
    items: list[LetterShown]
    next_cursor: None
    away: list[str] = Field(description="Services that could not be asked.")


@api.get("/parts", responses={200: PartList}, summary="The running parts, each asked now")
@allow("operator")
def list_parts() -> Response:
    settings = ports().settings
    own = [
        *stores.postgres_checks(settings.orders_database_url),
        *stores.bus_checks(settings.event_bus_url),
    ]
    items = counter.parts(ports(), own)
    return json_response({"items": items, "next_cursor": None}, Cache_Control="no-store")


@api.get("/dead-letters", responses={200: AllLetters}, summary="Events that were given up")
@allow("operator")
def list_letters() -> Response:
    found, away = counter.letters(ports())
    listed = {"items": found, "next_cursor": None, "away": away}
    return json_response(listed, Cache_Control="no-store")


@api.post(
    "/dead-letters/<group>/<letter_id>/replay",
    responses={204: None},
    summary="Give an event its effect now",
)
@allow("operator")
def replay_letter(path: ReplayPath) -> Response:
    counter.replay(ports(), path.group, path.letter_id)
    return no_content(Cache_Control="no-store")
