"""Pieces of request and response shapes that services share."""

from __future__ import annotations

import functools
from typing import Annotated, Any, Self

from flask import Response, current_app, make_response
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

# Control characters have no place in a name or an address, and PostgreSQL refuses U+0000. Those
# that change the direction of text make a name look like another one (Unicode TR 36).
_DIRECTIONS = r"\u202a-\u202e\u2066-\u2069"
_NO_LINE = rf"\u0000-\u001f\u007f-\u009f\u2028\u2029{_DIRECTIONS}"
PRINTABLE = rf"^[^{_NO_LINE}]*$"
NOT_BLANK = rf"^[^{_NO_LINE}]*[^\s{_NO_LINE}][^{_NO_LINE}]*$"
PROSE = rf"^[^\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f{_DIRECTIONS}]*$"
TOP_ID = 2**53 - 1

Id = Annotated[int, Field(ge=1, le=TOP_ID)]
Quantity = Annotated[int, Field(ge=1, le=10_000)]


def line(most: int, least: int = 1) -> StringConstraints:
    """Constraints of a string of one line, trimmed, with these bounds on its length."""
    return StringConstraints(
        strip_whitespace=True,
        min_length=least,
        max_length=most,
        pattern=NOT_BLANK if least else PRINTABLE,
    )


def _never_null(schema: dict[str, Any]) -> None:
    """Make the document say what is so: an optional field may be absent, which is not null.

    A field may be marked as `required` although it is not for pydantic, where its absence has an
    answer of its own.
    """
    for name, field in schema.get("properties", {}).items():
        kinds = [kind for kind in field.pop("anyOf", []) if kind != {"type": "null"}]
        field |= kinds[0] if len(kinds) == 1 else {"anyOf": kinds} if kinds else {}
        if field.get("default", ...) is None:
            del field["default"]
        if field.pop("required", False):
            schema.setdefault("required", []).append(name)


def _something(schema: dict[str, Any]) -> None:
    _never_null(schema)
    schema["minProperties"] = 1


class Body(BaseModel):
    """A JSON request body: exact types, and no field that is not in the contract."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)

    @classmethod
    def model_validate_json(cls, json_data: Any, *args: Any, **kwargs: Any) -> Self:
        """Refuse: flask-openapi3 would parse a body that is a JSON string a second time."""
        return cls.model_validate(json_data)


def example(body: dict[str, Any]) -> ConfigDict:
    """The configuration of a request that the API's pages show filled in like this."""
    return ConfigDict(json_schema_extra={"examples": [body]})


class Changes(Body):
    """A body that names what is to change: at least one field, and none of them null."""

    model_config = ConfigDict(json_schema_extra=_something)


@functools.cache
def _json_schema(model: type[BaseModel], *args: Any, **kwargs: Any) -> dict[str, Any]:
    # flask-openapi3 asks for it on every request, and making it takes longer than the query.
    schema: dict[str, Any] = BaseModel.model_json_schema.__func__(model, *args, **kwargs)  # type: ignore[attr-defined]
    return schema


class Parameters(BaseModel):
    """Query or path parameters: text that is converted, and none that is not in the contract."""

    model_config = ConfigDict(extra="forbid", frozen=True, json_schema_extra=_never_null)

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return _json_schema(cls, *args, **kwargs)


class Headers(BaseModel):
    """Request headers that are part of the contract; any other header is fine."""

    model_config = ConfigDict(extra="ignore", frozen=True, json_schema_extra=_never_null)

    @classmethod
    def model_json_schema(cls, *args: Any, **kwargs: Any) -> dict[str, Any]:
        return _json_schema(cls, *args, **kwargs)


class Page(Parameters):
    """The parameters of every list."""

    limit: int = Field(20, ge=1, le=100, description="Items per page.")
    cursor: str | None = Field(
        None, min_length=1, max_length=1000, description="`next_cursor` of the page before; opaque."
    )


class Shown(BaseModel):
    """A response shape; it documents, and is not validated on the way out."""

    model_config = ConfigDict(extra="forbid")


class Said(BaseModel):
    """Data of an event from another branch: exact types; what is not known here is left out."""

    model_config = ConfigDict(strict=True, extra="ignore", frozen=True)


class Stamp(Shown):
    """Who edited, and when by the logical clock."""

    lamport: int
    branch: str


class LostEdit(Shown):
    """An edit that lost against a concurrent one of another branch."""

    edit: Stamp
    lost_to: Stamp
    at: str
    document: dict[str, Any]


class LostEdits(Shown):
    """The same of one thing, the newest first."""

    items: list[LostEdit]
    next_cursor: None


def no_content(**headers: str) -> Response:
    """A 204 with headers (underscores in their names become hyphens)."""
    response = Response(status=204, mimetype=None, content_type=None)
    response.headers.pop("Content-Type", None)
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = value
    return response


def json_response(document: Any, status: int = 200, **headers: str) -> Response:
    """A JSON answer with headers (underscores in their names become hyphens)."""
    response = make_response(current_app.json.response(document))
    response.status_code = status
    for name, value in headers.items():
        response.headers[name.replace("_", "-")] = value
    return response
