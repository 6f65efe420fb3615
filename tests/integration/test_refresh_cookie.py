"""The refresh token as a cookie: who gets it, where it goes, and whose page it obeys."""

from __future__ import annotations

from http.cookies import SimpleCookie
from typing import Any

import httpx
import pytest

from local.stack import Stack
from tests.people import is_let_in, problem
from tests.shop import PASSWORD, Account

NAME = "feira-refresh"


def log_in(http: httpx.Client, person: Account, **body: Any) -> httpx.Response:
    """Log in as a page does."""
    credentials = {"email": person.email, "password": PASSWORD, "refresh_token_in": "cookie"}
    return http.post("/auth/login", json=credentials | body)


def cookie_of(answer: httpx.Response, name: str = NAME) -> Any:
    """The one cookie that an answer sets."""
    (header,) = answer.headers.get_list("set-cookie")
    return SimpleCookie(header)[name]


def with_cookie(token: str, **headers: str) -> dict[str, str]:
    return {"Cookie": f"{NAME}={token}", **headers}


@pytest.fixture
def token(http: httpx.Client, customer: Account) -> str:
    """What the cookie of a login holds."""
    value: str = cookie_of(log_in(http, customer)).value
    http.cookies.clear()
    return value


def test_a_login_that_asks_for_it_gets_a_cookie_instead(
    http: httpx.Client, customer: Account
) -> None:
    answer = log_in(http, customer)
    http.cookies.clear()
    assert set(answer.json()) == {"access_token", "token_type", "expires_in"}
    cookie = cookie_of(answer)
    assert cookie.value not in answer.text
    assert (cookie["path"], cookie["samesite"], cookie["httponly"]) == ("/auth", "Strict", True)
    assert (cookie["secure"], cookie["domain"], cookie["max-age"]) == ("", "", str(30 * 86400))
    # Nobody gets it who did not ask.
    for body in ({"refresh_token_in": "body"}, {}):
        credentials = {"email": customer.email, "password": PASSWORD} | body
        plain = http.post("/auth/login", json=credentials)
        assert "set-cookie" not in plain.headers
        assert plain.json()["refresh_token"]


def test_over_tls_it_is_secure(stack: Stack, customer: Account) -> None:
    with httpx.Client(base_url=stack.tls_url, verify=False, trust_env=False) as tls:
        cookie = cookie_of(log_in(tls, customer), f"__Secure-{NAME}")
    assert (cookie["secure"], cookie["httponly"], cookie["path"]) == (True, True, "/auth")


def test_it_is_renewed_and_used_once(http: httpx.Client, token: str) -> None:
    renewed = http.post("/auth/refresh", json={}, headers=with_cookie(token))
    following = cookie_of(renewed).value
    http.cookies.clear()
    assert "refresh_token" not in renewed.json()
    assert is_let_in(http, renewed.json()["access_token"])
    assert following != token
    # A second use of the old one ends the session, and takes the cookie back.
    again = http.post("/auth/refresh", json={}, headers=with_cookie(token))
    problem(again, 401, "unauthenticated")
    assert (cookie_of(again).value, cookie_of(again)["max-age"]) == ("", "0")
    http.cookies.clear()
    problem(
        http.post("/auth/refresh", json={}, headers=with_cookie(following)), 401, "unauthenticated"
    )
    http.cookies.clear()


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_another_origins_page_cannot_use_it(http: httpx.Client, token: str, site: str) -> None:
    for door in ("/auth/refresh", "/auth/logout"):
        refused = http.post(door, json={}, headers=with_cookie(token, **{"Sec-Fetch-Site": site}))
        problem(refused, 403, "forbidden")
        # What a form can send without asking is no JSON.
        form = http.post(
            door, content="{}", headers=with_cookie(token, **{"Content-Type": "text/plain"})
        )
        problem(form, 415, "unsupported-media-type")
    # It is as good as before.
    own = with_cookie(token, **{"Sec-Fetch-Site": "same-origin"})
    assert http.post("/auth/refresh", json={}, headers=own).status_code == 200
    http.cookies.clear()


def test_a_logout_ends_the_session_and_takes_it_back(http: httpx.Client, token: str) -> None:
    out = http.post("/auth/logout", json={}, headers=with_cookie(token))
    assert (out.status_code, cookie_of(out)["max-age"]) == (204, "0")
    http.cookies.clear()
    problem(http.post("/auth/refresh", json={}, headers=with_cookie(token)), 401, "unauthenticated")
    http.cookies.clear()


def test_without_token_and_cookie_there_is_nothing_to_renew(http: httpx.Client) -> None:
    refused = problem(http.post("/auth/refresh", json={}), 401, "unauthenticated")
    assert "refresh token" in refused["detail"]
