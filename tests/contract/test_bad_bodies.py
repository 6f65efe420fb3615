"""Promises 34 and 35 for every operation that takes a body: what is no such body is refused."""

from __future__ import annotations

import copy
import gzip
import json
import uuid

import pytest

from tests.contract.bodies import (
    BODIES,
    HOSTILE,
    MEBIBYTE,
    SECRETS,
    Bench,
    Route,
    by_name,
    refused,
    strings,
    with_text,
)
from tests.contract.services import document

NEEDED = [route for route in BODIES if route.body]
EXTRA = ["price", "price_cents", "total", "total_cents", "role", "user_id", "status", "id", "é"]

# Events, one or a list: tests/branches/test_door.py has what they must not be.
BETWEEN_BRANCHES = {"POST /replica/event", "POST /internal/replica"}

NOT_OBJECTS: dict[str, tuple[bytes, int]] = {
    "empty": (b"", 400),
    "malformed": (b'{"a": ', 400),
    "two values": (b"{}{}", 400),
    "null": (b"null", 400),
    "array": (b"[]", 422),
    "number": (b"7", 422),
    "true": (b"true", 422),
    "text": (b'"text"', 422),
    "invalid UTF-8": (b'{"a": "\xff"}', 400),
    "UTF-8 encoded surrogate": (b'{"a": "\xed\xa0\x80"}', 422),
    "nested arrays": (b"[" * 100_000 + b"]" * 100_000, 400),
    "nested objects": (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, 400),
    "gzip": (gzip.compress(b"{}"), 400),
    "gzip bomb": (gzip.compress(b" " * 50 * MEBIBYTE), 400),
    "one byte too large": (b" " * (MEBIBYTE + 1), 413),
    "surrogate for a name": (b'{"\\ud800": 1}', 422),
    "NUL for a name": (b'{"\\u0000": 1}', 422),
}


def test_every_operation_with_a_body_is_tried() -> None:
    described = {
        f"{method.upper()} {path}".replace("produto_id", "product_id").replace(
            "session_id", "cart_id"
        )
        for service in ("catalog", "cart", "orders")
        for path, item in document(service)["paths"].items()
        for method, operation in item.items()
        if "requestBody" in operation
    }
    assert {route.name for route in BODIES} == described - BETWEEN_BRANCHES


@pytest.mark.promise(34)
@pytest.mark.parametrize("route", BODIES, ids=by_name)
def test_fields_that_are_not_in_the_contract_are_refused(
    bench: Bench, unchanged: None, route: Route
) -> None:
    places = [""] + [f"{n}." for n, v in route.body.items() if isinstance(v, dict)]
    for name in EXTRA:
        for place in places:
            inner = route.body[place[:-1]] if place else route.body
            if name in inner or name == "role" == route.path:
                continue
            if place == "" and name in _declared(route):
                continue
            body = copy.deepcopy(route.body)
            (body[place[:-1]] if place else body)[name] = 1
            problem = refused(bench.send(route, json.dumps(body).encode()), 422, name)
            assert problem["errors"] == [
                {"field": place + name, "message": "Extra inputs are not permitted"}
            ]


def _declared(route: Route) -> set[str]:
    described = document(route.service)
    path = route.path
    if path not in described["paths"]:
        for theirs, ours in (("produto_id", "product_id"), ("session_id", "cart_id")):
            path = path if path in described["paths"] else route.path.replace(ours, theirs)
    operation = described["paths"][path][route.method.lower()]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    return set(
        described["components"]["schemas"][schema["$ref"].split("/")[-1]].get("properties", ())
    )


@pytest.mark.parametrize("route", NEEDED, ids=by_name)
def test_what_is_no_json_object_is_refused(bench: Bench, unchanged: None, route: Route) -> None:
    for name, (content, status) in NOT_OBJECTS.items():
        if route.of_service and status == 413:  # cut off before it is sent: the gateway reads it
            continue
        headers = {"Content-Encoding": "gzip"} if "gzip" in name else {}
        refused(bench.send(route, content, **headers), status, name)


@pytest.mark.parametrize("route", NEEDED, ids=by_name)
def test_json_in_a_json_string_is_not_parsed_twice(
    bench: Bench, unchanged: None, route: Route
) -> None:
    answer = bench.send(route, json.dumps(json.dumps(route.body)).encode())
    assert refused(answer, 422)["detail"] == "The body must be a JSON object."


@pytest.mark.parametrize("route", NEEDED, ids=by_name)
def test_other_media_types_are_415(bench: Bench, unchanged: None, route: Route) -> None:
    content = json.dumps(route.body).encode()
    for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data", "json"):
        problem = refused(bench.send(route, content, **{"Content-Type": kind}), 415, kind)
        assert problem["title"] == "Send application/json"


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("route", [r for r in NEEDED if list(strings(r.body))], ids=by_name)
def test_hostile_text_is_refused(bench: Bench, unchanged: None, route: Route, kind: str) -> None:
    for place in strings(route.body):
        if place in SECRETS:
            continue
        answer = bench.send(route, with_text(route.body, place, json.dumps(HOSTILE[kind])))
        problem = refused(answer, 422, place)
        assert [fault["field"] for fault in problem["errors"]] == [place]


@pytest.mark.parametrize("kind", HOSTILE)
@pytest.mark.parametrize("secret", ["password", "refresh_token"])
def test_hostile_secrets_are_only_wrong(bench: Bench, kind: str, secret: str) -> None:
    path = {"password": "/auth/login", "refresh_token": "/auth/refresh"}[secret]
    (route,) = (r for r in BODIES if r.path == path)
    body = route.body | (
        {"email": f"{uuid.uuid4().hex}@example.com"} if secret == "password" else {}
    )
    answer = bench.send(route, with_text(body, secret, json.dumps(HOSTILE[kind])))
    refused(answer, 422 if kind in ("lone surrogate", "huge") else 401)


def test_a_description_may_have_lines_but_no_other_controls(bench: Bench) -> None:
    shop, text = bench.shop, "Primeira linha\n\tSegunda \u200d👩‍🍳 \u0301"
    assert shop.new_product(description=text)["description"] == text
    (route,) = (r for r in BODIES if r.name == "POST /api/products")
    for kind in ("NUL", "control", "right-to-left override", "huge", "lone surrogate"):
        content = json.dumps(route.body | {"description": HOSTILE[kind]}).encode()
        problem = refused(bench.send(route, content), 422, kind)
        assert [fault["field"] for fault in problem["errors"]] == ["description"]


@pytest.mark.promise(35)
def test_ten_thousand_lines_are_refused(bench: Bench, unchanged: None) -> None:
    (route,) = (r for r in BODIES if r.path == "/api/reservations")
    lines = [{"product_id": n, "quantity": 1} for n in range(1, 10_001)]
    problem = refused(bench.send(route, json.dumps(route.body | {"items": lines}).encode()), 422)
    assert [fault["field"] for fault in problem["errors"]] == ["items"]


def test_a_refusal_of_very_much_is_short(bench: Bench, unchanged: None) -> None:
    (route,) = (r for r in BODIES if r.path == "/api/categories")
    many = dict.fromkeys((f"field{n}" for n in range(50_000)), 1)
    long = {"k" * 900_000: 1}
    for extra in (many, long):
        answer = bench.send(route, json.dumps(route.body | extra).encode())
        problem = refused(answer, 422)
        assert len(answer.content) < 20_000
        assert len(problem["errors"]) <= 100


def test_a_body_of_a_mebibyte_is_read(bench: Bench) -> None:
    (route,) = (r for r in BODIES if r.path == "/api/categories")
    body = {"slug": f"m-{uuid.uuid4().hex}", "name": f"M {uuid.uuid4().hex}"}
    content = json.dumps(body).encode().ljust(MEBIBYTE)
    assert bench.send(route, content).status_code == 201
