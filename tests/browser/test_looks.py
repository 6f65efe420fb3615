"""Every page in both themes, on a phone and wide: no fault that axe finds, and a picture of each.

The pictures are for people: `reports/screens/`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe

from local.settings import REPOSITORY
from tests.browser.visitor import Visitor
from tests.shop import Account, Shop

SCREENS = REPOSITORY / "reports" / "screens"
SIZES = {"phone": (390, 844), "wide": (1280, 900)}
SMALLEST = {"width": 320, "height": 640}
# What of a page is there depends on no theme, only how it looks.
RULES: dict[str, dict[str, Any]] = {"light": {}, "dark": {"runOnly": ["color-contrast"]}}
# One card is as the other, and one row of a table.
REPEATED = {"exclude": [[".card:nth-child(n + 5)"], ["tbody tr:nth-child(n + 4)"]]}


class Looks:
    """Looks at one page after the other; `faults` is what was wrong with them."""

    def __init__(self, visitor: Visitor) -> None:
        SCREENS.mkdir(parents=True, exist_ok=True)
        self.visitor = visitor
        self.page = visitor.page
        self.page.emulate_media(reduced_motion="reduce")
        self.faults: list[str] = []

    def at(self, name: str, path: str | None = None, shows: str | None = None) -> None:
        """Look at a page (else at what is open), once it `shows` something (a selector)."""
        if path is not None:
            self.visitor.go(path)
        if shows is not None:
            self.page.wait_for_selector(shows)
        self.visitor.settle()
        self.page.set_viewport_size(SMALLEST)
        self._fits(name)
        for size, (width, height) in SIZES.items():
            self.page.set_viewport_size({"width": width, "height": height})
            self._fits(name)
            for theme in RULES:
                self.page.emulate_media(color_scheme=theme)
                self.page.screenshot(path=SCREENS / f"{name}-{size}-{theme}.png")
                # A phone's page has the same parts in the same colours.
                if size == "wide":
                    self._search(name, theme)

    def _fits(self, name: str) -> None:
        wide, seen = self.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        if wide > seen:
            self.faults.append(f"{name} is {wide} pixels wide on {seen}")

    def _search(self, name: str, theme: str) -> None:
        options = {"resultTypes": ["violations"], **RULES[theme]}
        found = Axe().run(self.page, REPEATED, options).response["violations"]
        self.faults += [f"{name}, {theme}: {v['id']} at {v['nodes'][0]['target']}" for v in found]


@pytest.mark.timeout(180)
def test_every_page_of_the_shop(shop: Shop, visitor: Visitor) -> None:
    account = shop.login("cliente@feira.local", shop.stack.secrets.demo_password)
    product = shop.http.get("/api/products?q=cenoura&limit=1").json()["items"][0]
    order = shop.buy(account, (product["id"], 2), (2, 3))
    refused = shop.checkout(account, shop.new_cart((product["id"], 1)), token="tok_declined")
    assert refused.status_code == 402
    failed = shop.http.get("/api/orders?limit=1", headers=account.headers).json()["items"][0]
    looks = Looks(visitor)
    # Once the display face is there; a first view may do without it, and nothing moves.
    visitor.go("/account")
    looks.at("home", "/")
    looks.at("search", "/?q=chocolate&sort=price")
    looks.at("nothing", "/?q=parafuso")
    looks.at("missing", "/products/999999999")
    looks.at("product", f"/products/{product['id']}")
    looks.at("sign-in", "/account")
    visitor.add(product, 2)
    looks.at("cart")
    visitor.check_out()
    looks.at("checkout-guest")
    visitor.sign_in(account)
    looks.at("account")
    looks.at("checkout", "/checkout")
    looks.at("orders", "/orders")
    looks.at("order", f"/orders/{order['id']}", ".timeline li:nth-child(4)")
    looks.at("order-failed", f"/orders/{failed['id']}", ".timeline li:nth-child(4)")
    assert looks.faults == []


@pytest.mark.timeout(180)
def test_every_page_of_the_console(shop: Shop, admin: Account, visitor: Visitor) -> None:
    product = shop.new_product(name="Pé de moleque")
    order = shop.buy(shop.new_user(), (product["id"], 1))
    shop.http.post(
        "/api/stock-transfers",
        json={"sku": product["sku"], "to": "filial", "quantity": 3},
        headers=admin.headers,
    ).raise_for_status()
    looks = Looks(visitor)
    looks.at("console-door", "/console")
    visitor.sign_in(admin, "/console")
    looks.at("console-today", shows=".bars")
    for name in (
        "products",
        "products/1",
        "products/new",
        "orders",
        "branches",
        "letters",
        "users",
    ):
        looks.at(f"console-{name.replace('/', '-')}", f"/console/{name}")
    looks.at("console-parts", "/console/parts", ".parts li")
    looks.at("console-order", f"/console/orders/{order['id']}", ".timeline li")
    assert looks.faults == []


def test_the_pictures_are_there() -> None:
    taken = {path.name for path in Path(SCREENS).glob("*.png")}
    assert {"home-wide-light.png", "order-phone-dark.png", "console-today-wide-light.png"} <= taken
