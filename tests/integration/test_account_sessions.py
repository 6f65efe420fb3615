"""Refresh, logout and what is left of tokens after it, through the gateway."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import httpx
import jwt
import pytest

from tests.people import (
    REVOKED_WITHIN_SECONDS,
    bearer,
    faulty_fields,
    hired,
    is_let_in,
    is_let_in_as_operator,
    problem,
    refresh,
    seconds_until_out,
)
from tests.shop import PASSWORD, Account, Shop


def test_a_refresh_token_is_used_once(http: httpx.Client, new_user: Callable[[], Account]) -> None:
    person = new_user()
    renewed = refresh(http, person.refresh_token)
    assert renewed.status_code == 200
    tokens = renewed.json()
    assert set(tokens) == {"access_token", "refresh_token", "token_type", "expires_in"}
    assert tokens["refresh_token"] != person.refresh_token
    assert tokens["access_token"] != person.token
    me = http.get("/auth/me", headers=bearer(tokens["access_token"]))
    assert me.json()["id"] == person.id
    assert refresh(http, tokens["refresh_token"]).status_code == 200


def test_a_second_use_of_a_refresh_token_ends_its_session_only(
    http: httpx.Client, shop: Shop, new_user: Callable[[], Account]
) -> None:
    person = new_user()
    other = shop.login(person.email, PASSWORD)
    newest = refresh(http, person.refresh_token).json()

    problem(refresh(http, person.refresh_token), 401, "unauthenticated")

    problem(refresh(http, newest["refresh_token"]), 401, "unauthenticated")
    for token in (person.token, newest["access_token"]):
        seconds_until_out(http, token)
    assert is_let_in(http, other.token)
    assert refresh(http, other.refresh_token).status_code == 200


@pytest.mark.parametrize("round_", range(5))
def test_of_simultaneous_uses_of_a_refresh_token_one_wins(
    http: httpx.Client, new_user: Callable[[], Account], round_: int
) -> None:
    person, start = new_user(), Barrier(8)

    def use(_: int) -> httpx.Response:
        start.wait(10)
        return refresh(http, person.refresh_token)

    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(use, range(8)))
    assert sorted(a.status_code for a in answers) == [200] + [401] * 7
    # The others were second uses, so the session is over for the winner too.
    (winner,) = (a.json() for a in answers if a.status_code == 200)
    assert refresh(http, winner["refresh_token"]).status_code == 401


@pytest.mark.parametrize(
    "token", ["unknown", "x" * 512, "é\u0000", "Zm9yZ2VkLXRva2VuLW9mLTMyLWJ5dGVz"]
)
def test_an_unknown_refresh_token_is_refused_and_logs_out_nobody(
    http: httpx.Client, token: str
) -> None:
    problem(refresh(http, token), 401, "unauthenticated")
    assert http.post("/auth/logout", json={"refresh_token": token}).status_code == 204


@pytest.mark.parametrize("token", ["", "x" * 513, None, 7, ["a"]])
@pytest.mark.parametrize("path", ["/auth/refresh", "/auth/logout"])
def test_what_cannot_be_a_refresh_token_is_named(http: httpx.Client, path: str, token: Any) -> None:
    assert faulty_fields(http.post(path, json={"refresh_token": token})) == {"refresh_token"}


def test_an_access_token_is_no_refresh_token(
    http: httpx.Client, new_user: Callable[[], Account]
) -> None:
    person = new_user()
    assert refresh(http, person.token).status_code in (401, 422)
    problem(http.get("/auth/me", headers=bearer(person.refresh_token)), 401, "unauthenticated")


def test_logout_ends_the_session_everywhere(http: httpx.Client, shop: Shop, admin: Account) -> None:
    operator = hired(shop, admin, "operator")
    other = shop.login(operator.email, PASSWORD)
    assert is_let_in_as_operator(http, operator.token)

    ended = http.post("/auth/logout", json={"refresh_token": operator.refresh_token})
    assert (ended.status_code, ended.content) == (204, b"")

    # Repeating it is fine, and the refresh token is worth nothing at once.
    again = http.post("/auth/logout", json={"refresh_token": operator.refresh_token})
    assert again.status_code == 204
    assert refresh(http, operator.refresh_token).status_code == 401
    print(f"revoked everywhere after {seconds_until_out(http, operator.token):.1f} s")  # noqa: T201
    assert is_let_in_as_operator(http, other.token)


@pytest.mark.promise(31)
def test_many_logouts_are_all_heeded(http: httpx.Client, shop: Shop, admin: Account) -> None:
    operator = hired(shop, admin, "operator")
    sessions = [shop.login(operator.email, PASSWORD) for _ in range(10)]
    for one in sessions:
        http.post("/auth/logout", json={"refresh_token": one.refresh_token}).raise_for_status()
    assert sum(seconds_until_out(http, one.token) for one in sessions) < REVOKED_WITHIN_SECONDS
    assert is_let_in_as_operator(http, operator.token)


def test_the_keys_are_public_and_verify_the_tokens(
    http: httpx.Client, new_user: Callable[[], Account]
) -> None:
    answer = http.get("/.well-known/jwks.json")
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "public, max-age=300"
    token = new_user().token
    key = jwt.PyJWKSet.from_dict(answer.json())[jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(token, key, algorithms=["EdDSA"], audience="feira", issuer="feira")
    assert claims["role"] == "customer"


@pytest.mark.parametrize(
    "authorization",
    ["", "Bearer", "Bearer a.b.c", "bearer a b", "Basic YTpi", "Bearer " + "a" * 3500],
)
@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/auth/me"), ("GET", "/api/users"), ("POST", "/api/products")]
)
def test_without_a_token_nothing_is_open(
    http: httpx.Client, method: str, path: str, authorization: str
) -> None:
    response = http.request(method, path, headers={"Authorization": authorization})
    problem(response, 401, "unauthenticated")
    assert response.headers["www-authenticate"].startswith("Bearer")


def test_the_list_of_revocations_is_not_reachable_from_outside(
    http: httpx.Client, admin: Account
) -> None:
    assert http.get("/internal/revocations", headers=admin.headers).status_code == 404
