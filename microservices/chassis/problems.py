"""Errors as RFC 9457 problem details.

Business code raises a `Problem` that carries its data; one handler turns it into an answer.
409 (lost the race) and 503 (could not ask) are different things everywhere.
"""

from __future__ import annotations

import sys
from typing import Any, ClassVar

import structlog
from flask import Flask, Response, current_app, g, request
from pydantic import BaseModel, ConfigDict, ValidationError
from redis.exceptions import RedisError
from werkzeug.exceptions import HTTPException

CONTENT_TYPE = "application/problem+json"
# What a refusal says of a request is bounded: faults in all, and characters of a field's name.
MOST_SHOWN = 100

log = structlog.get_logger()


class Problem(Exception):
    """An error with the answer it deserves.

    Subclasses set `status`, `slug` (the last part of `type`) and `title`. `extra` members are
    added to the problem document as they are.
    """

    status: ClassVar[int] = 500
    slug: ClassVar[str] = "internal-error"
    title: ClassVar[str] = "Internal error"

    def __init__(
        self, detail: str = "", *, headers: dict[str, str] | None = None, **extra: Any
    ) -> None:
        super().__init__(detail or self.title)
        self.detail = detail or self.title
        self.headers = headers or {}
        self.extra = extra

    def document(self) -> dict[str, Any]:
        """The members of the problem document, without `instance`."""
        return {
            "type": f"/problems/{self.slug}",
            "title": self.title,
            "status": self.status,
            "detail": self.detail,
            **self.extra,
        }


class BadRequest(Problem):
    status, slug, title = 400, "bad-request", "Bad request"


class Unauthenticated(Problem):
    status, slug, title = 401, "unauthenticated", "Authentication required"

    def __init__(self, detail: str = "", **extra: Any) -> None:
        super().__init__(detail, headers={"WWW-Authenticate": 'Bearer realm="feira"'}, **extra)


class Forbidden(Problem):
    status, slug, title = 403, "forbidden", "Not allowed"


class NotFound(Problem):
    status, slug, title = 404, "not-found", "Not found"


class Conflict(Problem):
    status, slug, title = 409, "conflict", "Conflict"


class Unprocessable(Problem):
    status, slug, title = 422, "validation-error", "The request is not valid"

    @classmethod
    def field(cls, name: str, message: str) -> Unprocessable:
        """A refusal of one field that only the business could see."""
        return cls(f"{name}: {message}", errors=[{"field": name, "message": message}])


class TooManyRequests(Problem):
    status, slug, title = 429, "too-many-requests", "Too many requests"


class Unavailable(Problem):
    """A dependency could not be asked; nothing is half done and trying again is right."""

    status, slug, title = 503, "unavailable", "Temporarily unavailable"

    def __init__(self, detail: str = "", *, retry_after: int = 1, **extra: Any) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)}, **extra)


class UnsupportedMediaType(Problem):
    status, slug, title = 415, "unsupported-media-type", "Send application/json"


class FieldError(BaseModel):
    """One field of a request that is not valid."""

    field: str
    message: str


class ProblemDocument(BaseModel):
    """Problem details (RFC 9457); `instance` is the request's id."""

    model_config = ConfigDict(extra="allow")

    type: str
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FieldError] = []


def answer(problem: Problem) -> Response:
    """The HTTP answer of a problem."""
    document = problem.document() | {"instance": g.get("request_id", "")}
    response = current_app.response_class(
        current_app.json.dumps(document), status=problem.status, content_type=CONTENT_TYPE
    )
    response.headers.extend(problem.headers)
    return response


def refuse_invalid(error: ValidationError) -> Response:
    """What flask-openapi3 calls when a request does not fit its schema."""
    faults = error.errors(include_url=False, include_context=False, include_input=False)
    # A fault without a place is one of the body as a whole.
    if not faults[0]["loc"] and _body_is_unreadable():
        return answer(_unreadable_body())
    errors = [
        {
            "field": ".".join(str(part) for part in fault["loc"])[:MOST_SHOWN],
            "message": fault["msg"].removeprefix("Value error, "),
        }
        for fault in faults[:MOST_SHOWN]
    ]
    named = ", ".join(sorted({fault["field"] for fault in errors if fault["field"]}))
    detail = f"Not valid: {named}." if named else "The body must be a JSON object."
    return answer(Unprocessable(detail, errors=errors))


def _body_is_unreadable() -> bool:
    return not request.is_json or request.get_json(silent=True) is None


def _unreadable_body() -> Problem:
    if request.get_data(cache=True) and not request.is_json:
        return UnsupportedMediaType("The body must be sent as application/json.")
    if not request.get_data(cache=True):
        return BadRequest("The request has no body; a JSON object is needed.")
    return BadRequest("The body is not a JSON object.")


def register(app: Flask) -> None:
    """Turn every exception of this app into a problem document."""
    app.register_error_handler(Problem, answer)
    app.register_error_handler(HTTPException, _from_http)
    for kind in absent_database():
        app.register_error_handler(kind, _from_database)
    app.register_error_handler(RedisError, _from_redis)
    app.register_error_handler(Exception, _unexpected)


def _from_http(error: HTTPException) -> Response:
    if error.response is not None:  # abort(response): already an answer of ours
        return error.response  # type: ignore[return-value]
    problem = Problem(error.description or "")
    response = answer(problem)
    status = error.code or 500
    # The gateway's name for it, which is that of RFC 9110.
    name = "Content Too Large" if status == 413 else error.name
    document = problem.document() | {
        "type": f"/problems/{name.lower().replace(' ', '-')}",
        "title": name,
        "status": status,
        "instance": g.get("request_id", ""),
    }
    response.status_code = status
    response.set_data(current_app.json.dumps(document))
    for name, value in error.get_headers():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response


def absent_database() -> tuple[type[Exception], ...]:
    """What SQLAlchemy raises when the database cannot be asked.

    None where nothing has loaded it: a service without a database is spared 10 MB a process.
    """
    errors: Any = sys.modules.get("sqlalchemy.exc")
    return (errors.OperationalError, errors.InterfaceError, errors.TimeoutError) if errors else ()


def _from_database(error: Exception) -> Response:
    log.error("database_unavailable", error=str(error).splitlines()[0], route=request.path)
    return answer(Unavailable("The database did not answer in time; try again."))


def _from_redis(error: RedisError) -> Response:
    log.error("redis_unavailable", error=type(error).__name__, route=request.path)
    return answer(Unavailable("The store did not answer or is full; try again."))


def _unexpected(error: Exception) -> Response:
    log.exception("unexpected_error", route=request.path)
    return answer(Problem("Something went wrong here; the request id tells the operators where."))
