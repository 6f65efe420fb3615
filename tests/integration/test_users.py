"""What admins do with accounts, and what becomes of these accounts' tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tests.people import (
    bearer,
    faulty_fields,
    fresh_email,
    hired,
    is_let_in,
    is_let_in_as_operator,
    login,
    problem,
    refresh,
    seconds_until_out,
)
from tests.shop import PASSWORD, Account, Shop, wait_until


@pytest.fixture
def second_admin(http: httpx.Client, shop: Shop, admin: Account) -> Iterator[Account]:
    second = hired(shop, admin, "admin")
    yield second
    path = f"/api/users/{second.id}"
    http.patch(path, json={"role": "customer"}, headers=admin.headers).raise_for_status()


@pytest.mark.parametrize("role", ["customer", "operator"])
def test_only_admins_see_and_change_users(
    http: httpx.Client, shop: Shop, admin: Account, role: str
) -> None:
    caller, target = hired(shop, admin, role), hired(shop, admin, "customer")
    body = {"email": fresh_email(), "password": PASSWORD, "name": "Eva", "role": "admin"}
    for answer in (
        http.get("/api/users", headers=caller.headers),
        http.post("/api/users", json=body, headers=caller.headers),
        http.patch(f"/api/users/{caller.id}", json={"role": "admin"}, headers=caller.headers),
        http.patch(f"/api/users/{target.id}", json={"active": False}, headers=caller.headers),
    ):
        problem(answer, 403, "forbidden")
    assert http.get("/auth/me", headers=caller.headers).json()["role"] == role
    assert is_let_in(http, target.token)


def test_an_admin_makes_and_changes_users(http: httpx.Client, admin: Account) -> None:
    email = fresh_email()
    body = {"email": email, "password": PASSWORD, "name": "Bia", "role": "operator"}
    made = http.post("/api/users", json=body, headers=admin.headers)
    assert made.status_code == 201
    user = made.json()
    assert user == {
        "id": user["id"],
        "email": email,
        "name": "Bia",
        "role": "operator",
        "active": True,
        "created_at": user["created_at"],
    }
    assert made.headers["cache-control"] == "no-store"
    problem(http.post("/api/users", json=body, headers=admin.headers), 409, "already-registered")

    path = f"/api/users/{user['id']}"
    renamed = http.patch(path, json={"name": "Beatriz"}, headers=admin.headers)
    assert (renamed.status_code, renamed.json()) == (200, user | {"name": "Beatriz"})


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, {"body"}),
        ({"role": None}, {"body"}),
        ({"role": "root"}, {"role"}),
        ({"role": ["admin"]}, {"role"}),
        ({"active": "false"}, {"active"}),
        ({"active": 0}, {"active"}),
        ({"name": ""}, {"name"}),
        ({"email": "eva@exemplo.com"}, {"email"}),
        ({"password": PASSWORD}, {"password"}),
        ({"generation": 1}, {"generation"}),
    ],
    ids=str,
)
def test_a_bad_change_of_a_user_is_named(
    http: httpx.Client, admin: Account, body: dict[str, Any], fields: set[str]
) -> None:
    response = http.patch(f"/api/users/{admin.id}", json=body, headers=admin.headers)
    assert faulty_fields(response) == fields


def test_a_user_that_does_not_exist_cannot_be_changed(http: httpx.Client, admin: Account) -> None:
    body = {"name": "Eva"}
    gone = http.patch("/api/users/01JZZZZZZZZZZZZZZZZZZZZZZZ", json=body, headers=admin.headers)
    problem(gone, 404, "user-not-found")
    odd = http.patch("/api/users/1%20OR%201=1", json=body, headers=admin.headers)
    assert faulty_fields(odd) == {"user_id"}


@pytest.mark.promise(31)
def test_a_new_role_calls_back_the_tokens_of_the_old(
    http: httpx.Client, shop: Shop, admin: Account
) -> None:
    operator = hired(shop, admin, "operator")
    assert is_let_in_as_operator(http, operator.token)
    path = f"/api/users/{operator.id}"
    changed = http.patch(path, json={"role": "customer"}, headers=admin.headers)
    assert (changed.status_code, changed.json()["role"]) == (200, "customer")

    print(f"called back everywhere after {seconds_until_out(http, operator.token):.1f} s")  # noqa: T201

    # The session goes on, in the new role.
    tokens = refresh(http, operator.refresh_token).raise_for_status().json()
    demoted = bearer(tokens["access_token"])
    assert http.get("/auth/me", headers=demoted).json()["role"] == "customer"
    problem(http.post("/api/products", json={}, headers=demoted), 403, "forbidden")


def test_a_new_name_calls_back_nothing(
    http: httpx.Client, admin: Account, new_user: Callable[[], Account]
) -> None:
    person = new_user()
    body = {"name": "Ana Maria", "role": "customer", "active": True}
    http.patch(f"/api/users/{person.id}", json=body, headers=admin.headers).raise_for_status()

    def me() -> dict[str, Any]:
        answer = http.get("/auth/me", headers=person.headers)
        assert answer.status_code == 200
        document: dict[str, Any] = answer.json()
        return document

    wait_until(lambda: me()["name"] == "Ana Maria")


def test_a_deactivated_user_is_out_and_can_be_let_in_again(
    http: httpx.Client, shop: Shop, admin: Account, new_user: Callable[[], Account]
) -> None:
    person = new_user()
    elsewhere = shop.login(person.email, PASSWORD)
    path = f"/api/users/{person.id}"
    out = http.patch(path, json={"active": False}, headers=admin.headers)
    assert (out.status_code, out.json()["active"]) == (200, False)

    assert refresh(http, person.refresh_token).status_code == 401
    assert login(http, person.email).status_code == 401
    seconds_until_out(http, person.token)

    http.patch(path, json={"active": True}, headers=admin.headers).raise_for_status()
    assert refresh(http, elsewhere.refresh_token).status_code == 401, "that session is over"
    assert login(http, person.email).status_code == 200


def every_user(http: httpx.Client, admin: Account, limit: int = 100) -> list[dict[str, Any]]:
    users: list[dict[str, Any]] = []
    cursor = None
    while True:
        wanted = {"limit": limit} | ({"cursor": cursor} if cursor else {})
        page = http.get("/api/users", params=wanted, headers=admin.headers).raise_for_status()
        assert len(page.json()["items"]) <= limit
        users += page.json()["items"]
        cursor = page.json()["next_cursor"]
        if cursor is None:
            return users


def test_the_last_active_admin_stays_one(
    http: httpx.Client, admin: Account, second_admin: Account
) -> None:
    def change(user_id: str, caller: Account, **fields: Any) -> httpx.Response:
        return http.patch(f"/api/users/{user_id}", json=fields, headers=caller.headers)

    def active_admins() -> set[str]:
        users = every_user(http, admin)
        return {u["id"] for u in users if u["role"] == "admin" and u["active"]}

    # Given nobody else (other tests may have left admins behind), a second admin may go, and
    # then the first may not.
    wait_until(lambda: second_admin.id in active_admins())
    for another in active_admins() - {admin.id, second_admin.id}:
        assert change(another, admin, role="customer").status_code == 200
    assert change(second_admin.id, second_admin, active=False).status_code == 200
    for fields in ({"role": "customer"}, {"role": "operator"}, {"active": False}):
        problem(change(admin.id, admin, **fields), 409, "last-admin")
    # An inactive admin does not count, so it may lose its role.
    assert change(second_admin.id, admin, role="operator").status_code == 200
    assert change(admin.id, admin, role="admin", active=True).status_code == 200
    assert http.get("/auth/me", headers=admin.headers).json()["role"] == "admin"


def test_users_come_in_pages_that_stay_in_place(
    http: httpx.Client, admin: Account, new_user: Callable[[], Account]
) -> None:
    made = [new_user().id for _ in range(3)]
    wait_until(lambda: made[-1] in {user["id"] for user in every_user(http, admin)})
    small = every_user(http, admin, limit=7)
    ids = [user["id"] for user in small]
    assert ids == sorted(set(ids)), "each once, oldest first"
    assert [one for one in ids if one in made] == made
    assert small == every_user(http, admin)[: len(small)]
    assert not any("password" in key or "hash" in key for user in small for key in user)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("limit", limit) for limit in ("0", "101", "-1", "ten", "1e1", "1000000")),
        *(("cursor", cursor) for cursor in ("x", "W10", "WyJ1c2VycyIsMV0")),
        ("q", "ana"),
    ],
)
def test_a_bad_parameter_of_the_list_is_named(
    http: httpx.Client, admin: Account, name: str, value: str
) -> None:
    response = http.get("/api/users", params={name: value}, headers=admin.headers)
    assert faulty_fields(response) == {name}
