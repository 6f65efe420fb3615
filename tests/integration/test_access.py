"""Promises 27 and 28 over HTTP: who may call what, for every route there is.

`ACCESS` says it for each operation. A route that is missing here fails the first test.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from tests.contract.access import ACCESS, UNDOCUMENTED, routes
from tests.contract.caller import ULID, UNAUTHENTICATED, Caller, problem
from tests.contract.services import apps, document
from tests.shop import Account, Shop


@pytest.fixture(scope="module")
def owner(shop: Shop) -> Account:
    return shop.new_user()


@pytest.fixture(scope="module")
def other(shop: Shop) -> Account:
    return shop.new_user()


@pytest.fixture(scope="module")
def product(shop: Shop) -> dict[str, Any]:
    return shop.new_product(stock=100)


@pytest.fixture(scope="module")
def order(shop: Shop, owner: Account, product: dict[str, Any]) -> dict[str, Any]:
    return shop.buy(owner, (product["id"], 1))


@pytest.fixture(scope="module")
def caller(shop: Shop, owner: Account, product: dict[str, Any], order: dict[str, Any]) -> Caller:
    cart = shop.new_cart((product["id"], 1))
    return Caller(
        shop,
        {
            "product_id": product["id"],
            "produto_id": product["id"],
            "cart_id": cart,
            "session_id": cart,
            "order_id": order["id"],
            "reservation_id": order["id"],
            "user_id": owner.id,
            "group": "cart",
            "letter_id": "1-0",
            "email": owner.email,
        },
    )


@pytest.fixture
def unchanged(shop: Shop, owner: Account, order: dict[str, Any], product: dict[str, Any]) -> Any:
    """Nothing that a route could change has changed by the end of the test."""

    def seen() -> Any:
        return shop.order(owner, order["id"]), shop.stock(product["id"])

    before = seen()
    yield
    assert seen() == before


@pytest.mark.parametrize("service", ACCESS)
def test_every_route_is_in_the_table_and_says_the_same_in_its_document(service: str) -> None:
    described = {
        f"{method.upper()} {path}": _level(operation)
        for path, item in document(service)["paths"].items()
        for method, operation in item.items()
    }
    assert described == ACCESS[service]


@pytest.mark.parametrize("service", ACCESS)
def test_every_rule_of_the_app_is_in_the_table_and_guarded_as_it_says(service: str) -> None:
    app = apps()[service]
    rules = {}
    for rule in app.url_map.iter_rules():
        path = re.sub("<(?:[^:>]+:)?([a-z_]+)>", r"{\1}", rule.rule)
        for method in rule.methods - {"HEAD", "OPTIONS"}:
            if rule.rule not in UNDOCUMENTED:
                rules[f"{method} {path}"] = app.view_functions[rule.endpoint].access
    assert rules == ACCESS[service]


@pytest.mark.promise(28)
@pytest.mark.parametrize(("service", "route"), routes("customer", "operator", "admin"))
def test_without_a_token_it_is_401(
    caller: Caller, unchanged: None, service: str, route: str
) -> None:
    detail = "Send an access token as Authorization: Bearer."
    for headers in ({}, {"Authorization": "Basic YTpi"}, {"Authorization": "Bearer"}):
        answer = caller.send(service, route, headers)
        problem(answer, *UNAUTHENTICATED, detail)
        assert answer.headers["www-authenticate"] == 'Bearer realm="feira"'
        kept = answer.headers["cache-control"]
        assert kept == "no-store" or (service, kept) == ("catalog", "no-cache")


@pytest.mark.promise(28)
@pytest.mark.parametrize(("service", "route"), routes("operator", "admin"))
def test_a_customer_is_refused_where_more_is_needed(
    caller: Caller, unchanged: None, owner: Account, service: str, route: str
) -> None:
    answer = caller.send(service, route, owner.headers)

    needed = ACCESS[service][route]
    problem(answer, "/problems/forbidden", "Not allowed", 403, f"This needs the role {needed}.")


@pytest.mark.promise(28)
@pytest.mark.parametrize(("service", "route"), routes("admin"))
def test_an_operator_is_refused_where_an_admin_is_needed(
    caller: Caller, operator: Account, service: str, route: str
) -> None:
    answer = caller.send(service, route, operator.headers)

    problem(answer, "/problems/forbidden", "Not allowed", 403, "This needs the role admin.")


# The others are done, for lack of a body that could be refused.
HARMLESS = [
    (service, route)
    for service, route in routes("operator", "customer")
    if not route.startswith(("DELETE", "POST /api/orders/{order_id}/cancel"))
]


@pytest.mark.parametrize(("service", "route"), HARMLESS)
def test_an_admin_may_do_what_those_below_may(
    caller: Caller, unchanged: None, admin: Account, service: str, route: str
) -> None:
    # An empty body is refused, but only after the caller was let in; a replay has none.
    answer = caller.send(service, route, admin.headers)

    expected = 404 if route.endswith("/replay") else 200 if route.startswith("GET") else 422
    assert answer.status_code == expected, answer.text


ORDER_ROUTES = [
    "GET /api/orders/{order_id}",
    "GET /api/orders/{order_id}/timeline",
    "GET /api/orders/{order_id}/events",
    "POST /api/orders/{order_id}/cancel",
]


def test_the_order_routes_are_all_that_take_an_orders_id_from_a_customer() -> None:
    taking = {route for _, route in routes("customer") if "{" in route}
    assert taking == set(ORDER_ROUTES)


@pytest.mark.promise(28)
@pytest.mark.parametrize("route", ORDER_ROUTES)
def test_another_customers_order_is_like_one_that_is_not_there(
    shop: Shop, caller: Caller, unchanged: None, other: Account, order: dict[str, Any], route: str
) -> None:
    absent = Caller(shop, {"order_id": ULID})

    theirs = caller.send("orders", route, other.headers)
    nobodys = absent.send("orders", route, other.headers)

    kind, title = "/problems/order-not-found", "No such order"
    problem(theirs, kind, title, 404, f"There is no order {order['id']}.")
    problem(nobodys, kind, title, 404, f"There is no order {ULID}.")
    assert shop.http.get("/api/orders", headers=other.headers).json()["items"] == []


def test_its_owner_and_an_operator_see_an_order(
    caller: Caller, owner: Account, operator: Account, order: dict[str, Any]
) -> None:
    for user in (owner, operator):
        answer = caller.send("orders", "GET /api/orders/{order_id}", user.headers)
        assert (answer.status_code, answer.json()) == (200, order)
        timeline = caller.send("orders", "GET /api/orders/{order_id}/timeline", user.headers)
        assert timeline.status_code == 200


def test_an_operator_may_cancel_a_customers_order(
    shop: Shop, owner: Account, operator: Account, product: dict[str, Any]
) -> None:
    theirs = shop.buy(owner, (product["id"], 1))

    answer = shop.http.post(f"/api/orders/{theirs['id']}/cancel", headers=operator.headers)

    assert (answer.status_code, answer.json()["status"]) == (200, "cancelled")


@pytest.mark.parametrize(("service", "route"), routes("service"))
def test_routes_for_services_do_not_exist_at_the_gateway(
    shop: Shop, caller: Caller, unchanged: None, admin: Account, service: str, route: str
) -> None:
    token = {"X-Service-Token": shop.stack.secrets.service_token}
    for headers in ({}, admin.headers, token):
        answer = caller.send(service, route, headers)
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(("service", "route"), routes("service"))
def test_routes_for_services_take_the_services_token_only(
    shop: Shop, caller: Caller, unchanged: None, admin: Account, service: str, route: str
) -> None:
    token = shop.stack.secrets.service_token
    wrong = ["", "x", token[:-1], token + "x", token.upper(), "\xff" * 40]
    for headers in (
        {},
        admin.headers,
        {"Authorization": f"Bearer {token}"},
        *({"X-Service-Token": value.encode("latin-1")} for value in wrong),
    ):
        answer = caller.direct(service, route, headers)
        problem(answer, *UNAUTHENTICATED, "This route is for the services of Feira.")


@pytest.mark.parametrize(("service", "route"), routes("customer", "operator", "admin"))
def test_the_services_token_is_no_users(
    shop: Shop, caller: Caller, unchanged: None, service: str, route: str
) -> None:
    token = shop.stack.secrets.service_token
    for headers in ({"X-Service-Token": token}, {"Authorization": f"Bearer {token}"}):
        assert caller.direct(service, route, headers).status_code == 401


@pytest.mark.parametrize("path", ["/metrics", "/ready", "/internal", "/api/reservations/", "/api"])
def test_the_rest_of_the_services_is_not_reachable_from_outside(shop: Shop, path: str) -> None:
    assert shop.http.get(path).status_code == 404


def _level(operation: dict[str, Any]) -> str:
    (scheme,) = operation.get("security", [{}])
    if scheme.keys() & {"service", "replica"}:
        return "".join(scheme)
    return "".join(scheme["bearer"]) if scheme else "public"
