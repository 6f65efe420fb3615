"""Registration and login through the gateway."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import httpx
import jwt
import pytest

from tests.people import faulty_fields, fresh_email, login, problem
from tests.shop import PASSWORD, Account


def test_register_login_me(http: httpx.Client) -> None:
    email = fresh_email()
    made = http.post(
        "/auth/register",
        json={"email": f" {email.upper()} ", "password": PASSWORD, "name": " Ana  Lúcia "},
    )
    assert made.status_code == 201
    shown = {"id": made.json()["id"], "email": email, "name": "Ana  Lúcia", "role": "customer"}
    assert made.json() == shown
    assert made.headers["x-consistency-token"].startswith("orders:")

    answer = login(http, email.title())
    assert answer.status_code == 200
    tokens = answer.json()
    assert tokens == {
        "access_token": tokens["access_token"],
        "refresh_token": tokens["refresh_token"],
        "token_type": "Bearer",
        "expires_in": tokens["expires_in"],
    }
    claims = jwt.decode(tokens["access_token"], options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == tokens["expires_in"] <= 900
    assert (claims["sub"], claims["role"], claims["gen"]) == (shown["id"], "customer", 1)

    me = http.get("/auth/me", headers={"Authorization": f"Bearer {tokens['access_token']}"})
    assert (me.status_code, me.json()) == (200, shown)
    for private in (made, answer, me):
        assert private.headers["cache-control"] == "no-store"


def test_a_taken_email_is_refused_in_any_case(
    http: httpx.Client, new_user: Callable[[], Account]
) -> None:
    taken = new_user().email.upper()
    response = http.post(
        "/auth/register", json={"email": taken, "password": PASSWORD, "name": "Eva"}
    )
    assert taken.lower() not in response.text.lower()
    problem(response, 409, "already-registered")


def test_of_many_who_register_one_email_at_once_one_does(http: httpx.Client) -> None:
    email = fresh_email()
    start = Barrier(4)

    def register(name: str) -> int:
        start.wait(10)
        body = {"email": email, "password": PASSWORD, "name": name}
        return http.post("/auth/register", json=body).status_code

    with ThreadPoolExecutor(4) as pool:
        assert sorted(pool.map(register, "abcd")) == [201, 409, 409, 409]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("email", ""),
        ("email", "ana"),
        ("email", "ana@"),
        ("email", "@exemplo.com"),
        ("email", "ana@exemplo"),
        ("email", "ana@exemplo..com"),
        ("email", "ana maria@exemplo.com"),
        ("email", "ana@exemplo.com\nBcc: eva@exemplo.com"),
        ("email", "ana@exemplo.com\x00"),
        ("email", f"{'a' * 64}@{'b' * 60}.{'c' * 60}.{'d' * 60}.{'e' * 60}.com"),
        ("email", 7),
        ("email", ["ana@exemplo.com"]),
        ("email", None),
        ("password", ""),
        ("password", "1234567"),
        ("password", "a" * 73),
        ("password", "ç" * 37),
        ("password", 12345678),
        ("password", None),
        ("name", ""),
        ("name", "   "),
        ("name", "a" * 121),
        ("name", "Ana\x00"),
        ("name", "Ana\nMaria"),
        ("name", {"first": "Ana"}),
    ],
    ids=lambda value: repr(value)[:24],
)
def test_a_bad_field_of_a_registration_is_named(http: httpx.Client, field: str, value: Any) -> None:
    body = {"email": fresh_email(), "password": PASSWORD, "name": "Ana"}
    response = http.post("/auth/register", json=body | {field: value})
    assert faulty_fields(response) == {field}
    assert PASSWORD not in response.text


@pytest.mark.parametrize("field", ["email", "password", "name"])
def test_a_missing_field_of_a_registration_is_named(http: httpx.Client, field: str) -> None:
    body = {"email": fresh_email(), "password": PASSWORD, "name": "Ana"}
    del body[field]
    assert faulty_fields(http.post("/auth/register", json=body)) == {field}


@pytest.mark.parametrize("path", ["/auth/register", "/auth/login", "/auth/refresh", "/auth/logout"])
def test_a_body_that_is_no_json_object_is_refused(http: httpx.Client, path: str) -> None:
    json_type = {"Content-Type": "application/json"}
    problem(http.post(path, content=b"{", headers=json_type), 400, "bad-request")
    problem(http.post(path, content=b"\xff\xfe", headers=json_type), 400, "bad-request")
    problem(http.post(path), 400, "bad-request")
    problem(http.post(path, data={"email": "a"}), 415, "unsupported-media-type")
    problem(http.post(path, json=[]), 422, "validation-error")
    # A page has its refresh token in a cookie, and then nothing to say in the body.
    in_cookie = path in ("/auth/refresh", "/auth/logout")
    missing = (401, "unauthenticated") if in_cookie else (422, "validation-error")
    problem(http.post(path, json={}), *missing)


@pytest.mark.parametrize(
    "extra",
    [{"role": "admin"}, {"id": "1"}, {"active": True}, {"generation": 9}, {"password_hash": "x"}],
    ids=str,
)
def test_a_registration_takes_nothing_but_its_own_fields(
    http: httpx.Client, extra: dict[str, Any]
) -> None:
    email = fresh_email()
    body = {"email": email, "password": PASSWORD, "name": "Ana"}
    assert faulty_fields(http.post("/auth/register", json=body | extra)) == set(extra)
    # Nothing was made: the address is still free.
    assert http.post("/auth/register", json=body).json()["role"] == "customer"


def test_a_password_is_used_to_its_last_byte(http: httpx.Client) -> None:
    email, longest = fresh_email(), "é" * 35 + "ab"
    assert len(longest.encode()) == 72
    body = {"email": email, "password": longest, "name": "Ana"}
    assert http.post("/auth/register", json=body).status_code == 201
    assert login(http, email, longest).status_code == 200
    assert login(http, email, longest[:-1] + "c").status_code == 401
    assert faulty_fields(login(http, email, longest + "b")) == {"password"}


def test_a_password_is_the_same_however_its_accents_are_encoded(http: httpx.Client) -> None:
    email = fresh_email()
    composed, decomposed = "p\u00e3o de mel", "pa\u0303o de mel"
    body = {"email": email, "password": decomposed, "name": "Ana"}
    assert http.post("/auth/register", json=body).status_code == 201
    assert login(http, email, composed).status_code == 200


@pytest.mark.promise(29)
def test_unknown_deactivated_and_wrong_get_one_answer(
    http: httpx.Client, admin: Account, new_user: Callable[[], Account]
) -> None:
    known, inactive = new_user(), new_user()
    path = f"/api/users/{inactive.id}"
    http.patch(path, json={"active": False}, headers=admin.headers).raise_for_status()

    answers = [
        login(http, known.email, "not the password"),
        login(http, fresh_email(), "not the password"),
        login(http, inactive.email),
    ]
    wrong, unknown, deactivated = (problem(a, 401, "unauthenticated") for a in answers)
    assert wrong == unknown == deactivated
    changing = ("date", "x-request-id")
    wrong_headers, *others = (
        {k: v for k, v in a.headers.items() if k not in changing} for a in answers
    )
    assert all(headers == wrong_headers for headers in others)


@pytest.mark.promise(29)
def test_unknown_and_wrong_take_the_same_time(
    http: httpx.Client, new_user: Callable[[], Account]
) -> None:
    # Two accounts, because ten failures a minute is the most of one.
    known = [new_user().email, new_user().email]
    seconds: dict[str, list[float]] = {"known": [], "unknown": []}
    for turn in range(15):
        for kind, email in (("known", known[turn % 2]), ("unknown", fresh_email())):
            started = time.perf_counter()
            assert login(http, email, "not the password").status_code == 401
            seconds[kind].append(time.perf_counter() - started)
    # Of each pair, so that what slows the machine down for a while slows both.
    pairs = zip(seconds["known"], seconds["unknown"], strict=True)
    gap = abs(statistics.median(known - unknown for known, unknown in pairs))
    print(f"median gap {gap * 1000:.2f} ms")  # noqa: T201
    assert gap < 0.005


@pytest.mark.promise(30)
def test_the_eleventh_failure_in_a_minute_is_refused(
    http: httpx.Client, new_user: Callable[[], Account]
) -> None:
    victim, bystander = new_user(), new_user()
    for _ in range(10):
        assert login(http, victim.email, "not the password").status_code == 401
    for password in ("not the password", PASSWORD):
        refused = login(http, victim.email, password)
        assert problem(refused, 429, "too-many-requests") == {
            "type": "/problems/too-many-requests",
            "title": "Too many requests",
            "status": 429,
            "detail": "Too many logins failed; try again later.",
        }
        assert 1 <= int(refused.headers["retry-after"]) <= 60
    assert login(http, bystander.email).status_code == 200
    assert http.get("/auth/me", headers=victim.headers).status_code == 200


@pytest.mark.promise(30)
def test_failures_at_once_are_all_counted(
    http: httpx.Client, new_user: Callable[[], Account]
) -> None:
    victim, start = new_user(), Barrier(15)

    def fail(_: int) -> int:
        start.wait(10)
        while (status := login(http, victim.email, "not the password").status_code) == 503:
            pass  # too many at once: the bound on hashing, not on failures
        return status

    with ThreadPoolExecutor(15) as pool:
        statuses = sorted(pool.map(fail, range(15)))
    assert statuses == [401] * 10 + [429] * 5


def test_successful_logins_do_not_count(
    http: httpx.Client, new_user: Callable[[], Account]
) -> None:
    email = new_user().email
    assert [login(http, email).status_code for _ in range(12)] == [200] * 12
