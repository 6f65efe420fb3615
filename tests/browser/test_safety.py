"""Names and addresses that mean harm are text and nothing else; the content policy holds."""

from __future__ import annotations

import json
import re
from typing import Any

from playwright.sync_api import Route, expect

from tests.browser.visitor import Visitor
from tests.shop import Account, Shop

POLICY = (
    "default-src 'self'; object-src 'none'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
MARKUP = "<img src=x onerror=\"document.title='owned'\"><script>document.title='owned'</script>"
# Right-to-left marks and overrides, which the shop itself refuses in a name.
TURNED = "\u202egnp.exe\u200f \u2067 olá \u0627\u0644\u0633\u0644\u0627\u0645"
HOSTILE = {
    "name": f"{MARKUP}{TURNED}{'W' * 10_000}",
    "description": MARKUP + "Ω" * 10_000,
    "image_url": "https://elsewhere.invalid/track.gif",
    "sku": "X" * 32,
    "recipient": f"{MARKUP}{TURNED}",
    "street": "R" * 10_000,
}


def poison(route: Route) -> None:
    """Every name and text of the answer becomes a hostile one."""
    route.fulfill(json=_poisoned(route.fetch().json()))


def _poisoned(document: Any) -> Any:
    if isinstance(document, list):
        # As many as are in sight at once: each is long.
        return [_poisoned(each) for each in document[:4]] + document[4:]
    if isinstance(document, dict):
        return {key: HOSTILE.get(key) or _poisoned(value) for key, value in document.items()}
    return document


def is_inert_and_in_place(visitor: Visitor) -> None:
    page = visitor.page
    assert page.title() != "owned"
    assert page.locator("main img[src='x'], main script").count() == 0
    width, seen = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert width <= seen
    outside = [r.url for r in visitor.requests if "elsewhere.invalid" in r.url]
    assert outside == []


def test_hostile_names_are_inert_everywhere(shop: Shop, visitor: Visitor) -> None:
    visitor.page.set_viewport_size({"width": 390, "height": 800})
    account, product = shop.new_user(name="<b>Ana</b>"), shop.new_product(stock=4)
    order = shop.buy(account, (product["id"], 1))
    visitor.sign_in(account)
    visitor.add(product)
    visitor.page.route(re.compile(r"/api/(products|carts|orders)(?!.*events)"), poison)
    for path in (
        "/",
        f"/products/{product['id']}",
        "/checkout",
        "/orders",
        f"/orders/{order['id']}",
    ):
        visitor.go(path)
        visitor.settle()
        is_inert_and_in_place(visitor)
    visitor.page.get_by_role("button", name="Abrir a cesta").click()
    expect(visitor.page.locator(".line .name")).to_contain_text("<img src=x onerror")
    is_inert_and_in_place(visitor)


def test_hostile_names_are_inert_in_the_console(
    shop: Shop, operator: Account, visitor: Visitor
) -> None:
    product = shop.new_product()
    order = shop.buy(shop.new_user(), (product["id"], 1))
    visitor.sign_in(operator, "/console")
    visitor.page.route(re.compile(r"/api/(products|orders|stock-transfers)"), poison)
    for path in (
        "/console",
        "/console/products",
        f"/console/products/{product['id']}",
        f"/console/orders/{order['id']}",
        "/console/branches",
    ):
        visitor.go(path)
        visitor.settle()
        is_inert_and_in_place(visitor)


def test_the_pages_have_a_policy_that_stops_scripts(shop: Shop, visitor: Visitor) -> None:
    for path in ("/", "/products/1", "/orders/x", "/checkout", "/console", "/console/parts"):
        answer = shop.http.get(path)
        assert (answer.status_code, answer.headers["content-security-policy"]) == (200, POLICY)
        assert "unsafe" not in answer.headers["content-security-policy"]
    visitor.go("/")
    stopped = visitor.page.evaluate(
        """() => {
          const script = document.createElement("script");
          const tries = [
            () => { document.body.innerHTML = "<b>text</b>"; },
            () => { script.textContent = "document.title = 'owned'"; },
          ];
          return tries.map((act) => { try { act(); return "done"; } catch (e) { return e.name; } });
        }"""
    )
    assert stopped == ["TypeError", "TypeError"]
    # These were tried on purpose.
    seen = json.loads(visitor.page.evaluate("sessionStorage.getItem('violations')"))
    assert [each.split()[0] for each in seen].count("require-trusted-types-for") == 2
    visitor.page.evaluate("sessionStorage.removeItem('violations')")


def test_nothing_is_asked_of_anybody_else(shop: Shop, visitor: Visitor) -> None:
    for path in ("/", "/?q=bolo", "/products/1", "/account", "/console"):
        visitor.go(path)
        visitor.settle()
    assert {request.url.split("/")[2] for request in visitor.requests} == {
        shop.stack.url.split("/")[2]
    }
