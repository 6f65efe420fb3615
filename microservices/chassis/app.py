"""The Flask application that every service starts from."""

from __future__ import annotations

import inspect
import json
import re
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, field
from typing import Any

import structlog
from flask import Flask, Response, g, request
from flask.json.provider import DefaultJSONProvider
from flask_openapi3 import Info, OpenAPI
from flask_openapi3.models import MediaType, Reference
from flask_openapi3.models import Response as DocumentedResponse
from werkzeug.middleware.proxy_fix import ProxyFix
from werkzeug.routing import Rule

from chassis import (
    auth,
    correlation,
    deadline,
    health,
    ids,
    logs,
    metrics,
    problems,
    tracer,
    tracing,
)
from chassis.settings import ServiceSettings

MAX_BODY_BYTES = 1024 * 1024
VERSION = "0.1.0"
HTTP_METHODS = ("get", "post", "put", "patch", "delete")
# Asked for all day long by machines: no line and no span each.
UNTOLD = ("/health", "/ready", "/metrics")

log = structlog.get_logger()


@dataclass(frozen=True)
class Service:
    """A service before its blueprints: the app, and what its operations routes report."""

    app: OpenAPI
    checks: dict[str, Callable[[], bool]] = field(default_factory=dict)
    status: dict[str, Callable[[], Any]] = field(default_factory=dict)


class StrictJson(DefaultJSONProvider):
    """JSON as RFC 8259 has it: no NaN or Infinity, and no nesting that exhausts the stack."""

    sort_keys = False
    ensure_ascii = False
    compact = True

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        try:
            return json.loads(s, parse_constant=_refuse_constant, **kwargs)
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def start(
    name: str, title: str, description: str, settings: ServiceSettings, *, request_seconds: float
) -> Service:
    """An app with problems, request ids, logs, metrics and JSON in place, and no routes.

    Args:
        request_seconds: how long a request may wait for whatever it needs, all in all.
    """
    logs.configure(name, settings.instance, settings.log_level)
    tracing.configure(name, settings)
    app = OpenAPI(
        name,
        info=Info(title=title, version=VERSION, description=description),
        doc_ui=False,
        security_schemes={
            "bearer": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
            "service": {"type": "apiKey", "in": "header", "name": "X-Service-Token"},
            "replica": {"type": "apiKey", "in": "header", "name": "X-Replica-Token"},
        },
        validation_error_callback=problems.refuse_invalid,
        validation_error_model=problems.ProblemDocument,
        # The range is documented for every operation below; this stops an extra 422 entry.
        validation_error_status="4XX",
        static_folder=None,
    )
    app.json = StrictJson(app)
    app.url_map.strict_slashes = False
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY_BYTES
    # Only the gateway is in front: one hop, and it overwrites what a client sent.
    app.wsgi_app = ProxyFix(app.wsgi_app, x_for=1, x_proto=1)  # type: ignore[method-assign]
    problems.register(app)
    _follow_requests(app)
    _bound_requests(app, request_seconds)
    metrics.register(app, name)
    return Service(app)


def finish(
    service: Service, settings: ServiceSettings, verifier: auth.TokenVerifier | None
) -> OpenAPI:
    """Add the operations routes, guard every route, and complete the OpenAPI document.

    Raises:
        RuntimeError: a route does not say who may call it.
    """
    app = service.app
    health.register(app, settings, service.checks, service.status)
    app.add_url_rule("/openapi.json", "openapi", auth.allow("public")(lambda: app.api_doc))
    for rule in app.url_map.iter_rules():
        view = app.view_functions[rule.endpoint]
        access = getattr(view, "access", None)
        if access is None:
            raise RuntimeError(f"{rule.rule} does not say who may call it: @allow is missing")
        _document(app, rule, view.__name__, access)
    auth.guard(app, verifier, settings.service_token, settings.branches)
    _refuse_unknown_parameters(app)
    return app


def _follow_requests(app: Flask) -> None:
    def begin() -> None:
        presented = request.headers.get("X-Request-Id", "")
        g.request_id = presented if correlation.REQUEST_ID.match(presented) else ids.new_id()
        g.started = time.perf_counter()
        g.scope = ExitStack()
        if request.path not in UNTOLD:
            g.scope.enter_context(_span())
        correlation.begin(g.request_id)

    def end(response: Response) -> Response:
        response.headers["X-Request-Id"] = g.request_id
        if request.path not in UNTOLD:
            log.info(
                "request",
                method=request.method,
                route=request.url_rule.rule if request.url_rule else None,
                status=response.status_code,
                ms=round((time.perf_counter() - g.started) * 1000, 2),
            )
            tracing.annotate(**{"http.response.status_code": response.status_code})
        correlation.end()
        return response

    def close(_: BaseException | None) -> None:
        if scope := g.pop("scope", None):
            scope.close()

    app.before_request(begin)
    app.after_request(end)
    app.teardown_request(close)


def _span() -> AbstractContextManager[object]:
    route = request.url_rule.rule if request.url_rule else "none"
    return tracing.span(
        f"{request.method} {route}",
        "server",
        parent=request.headers.get(tracer.HEADER),
        **{"http.request.method": request.method, "http.route": route},
    )


def _bound_requests(app: Flask, seconds: float) -> None:
    def begin() -> None:
        # What a caller says can only shorten it.
        asked = deadline.from_header(request.headers.get(deadline.HEADER))
        g.scope.enter_context(deadline.within(min(seconds, asked)))

    app.before_request(begin)


def _refuse_unknown_parameters(app: OpenAPI) -> None:
    # flask-openapi3 looks at the query only where a view has a model for it.
    plain = {
        rule.endpoint
        for rule in app.url_map.iter_rules()
        if _documented_path(rule) in app.paths
        and "query" not in inspect.signature(app.view_functions[rule.endpoint]).parameters
    }

    def check() -> None:
        if request.args and request.url_rule and request.url_rule.endpoint in plain:
            raise problems.Unprocessable.field(next(iter(request.args))[:100], "is not known here")

    app.before_request(check)


def _documented_path(rule: Rule) -> str:
    return re.sub(r"<(?:[^:<>]+:)?([^<>]+)>", r"{\1}", rule.rule)


def _document(app: OpenAPI, rule: Rule, name: str, access: str) -> None:
    path = app.paths.get(_documented_path(rule))
    for method in HTTP_METHODS:
        operation = getattr(path, method, None)
        if operation is None or method.upper() not in (rule.methods or ()):
            continue
        operation.operationId = name
        if access in ("service", "replica"):
            operation.security = [{access: []}]
        elif access != "public":
            # The least role that may call it; those above it may as well.
            operation.security = [{"bearer": [access]}]
        operation.responses = (operation.responses or {}) | PROBLEM_RESPONSES


PROBLEM_RESPONSES = {
    code: DocumentedResponse(
        description=f"{meaning}: problem details (RFC 9457).",
        content={
            problems.CONTENT_TYPE: MediaType(
                schema=Reference(**{"$ref": "#/components/schemas/ProblemDocument"})
            )
        },
    )
    for code, meaning in (("4XX", "The request was refused"), ("5XX", "Could not be done now"))
}
