"""What the tests of accounts share: people with accounts, and how answers are read."""

from __future__ import annotations

import functools
import secrets
import time
from collections.abc import Callable
from typing import Any

import httpx

from tests.shop import PASSWORD, Account, Shop, wait_until

REVOKED_WITHIN_SECONDS = 60


def fresh_email() -> str:
    """An address that nobody has registered."""
    return f"{secrets.token_hex(8)}@exemplo.com.br"


def login(http: httpx.Client, email: str, password: str = PASSWORD) -> httpx.Response:
    """Try to log in."""
    return http.post("/auth/login", json={"email": email, "password": password})


def refresh(http: httpx.Client, token: str) -> httpx.Response:
    """Try to get the next tokens of a session."""
    return http.post("/auth/refresh", json={"refresh_token": token})


def bearer(token: str) -> dict[str, str]:
    """The header that presents an access token."""
    return {"Authorization": f"Bearer {token}"}


def hired(shop: Shop, admin: Account, role: str) -> Account:
    """A new user of this role, made by an admin and logged in."""
    body = {"email": fresh_email(), "password": PASSWORD, "name": "Bia", "role": role}
    shop.http.post("/api/users", json=body, headers=admin.headers).raise_for_status()
    return shop.login(body["email"], PASSWORD)


def is_let_in(http: httpx.Client, token: str) -> bool:
    """Whether orders takes this access token."""
    response = http.get("/auth/me", headers=bearer(token))
    assert response.status_code in (200, 401)
    return response.status_code == 200


def is_let_in_as_operator(http: httpx.Client, token: str) -> bool:
    """Whether the catalog takes this access token for an operator's."""
    # An empty body: nothing is made, and only who may call the route is told what is missing.
    response = http.post("/api/products", json={}, headers=bearer(token))
    assert response.status_code in (401, 403, 422)
    return response.status_code == 422


def seconds_until_out(http: httpx.Client, token: str) -> float:
    """Wait until neither orders nor the catalog takes an access token, within the promise."""
    started = time.monotonic()
    for let_in in (is_let_in, is_let_in_as_operator):
        left = REVOKED_WITHIN_SECONDS - (time.monotonic() - started)
        wait_until(functools.partial(_is_out, let_in, http, token), left)
    return time.monotonic() - started


def _is_out(let_in: Callable[[httpx.Client, str], bool], http: httpx.Client, token: str) -> bool:
    return not let_in(http, token)


def problem(response: httpx.Response, status: int, slug: str) -> dict[str, Any]:
    """The members of the problem document besides `instance`, once all is as RFC 9457 has it."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    document: dict[str, Any] = response.json()
    assert document["type"] == f"/problems/{slug}"
    assert document["status"] == status
    assert document.pop("instance") == response.headers["x-request-id"]
    return document


def faulty_fields(response: httpx.Response) -> set[str]:
    """The fields that a 422 names."""
    return {fault["field"] for fault in problem(response, 422, "validation-error")["errors"]}
