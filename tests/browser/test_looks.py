"""Every page in both themes, on a phone and wide: no fault that axe finds, and a picture of each.

The pictures are for people: `reports/screens/`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe

from local.settings import REPOSITORY
from tests.browser.visitor import Visitor
from tests.shop import Account, Shop

SCREENS = REPOSITORY / "reports" / "screens"
SIZES = {"wide": (1280, 900), "phone": (390, 844), "small": (320, 640)}
ABOUT_PAGES = {"resultTypes": ["violations"]}


def looked_at(visitor: Visitor, name: str, theme: str) -> list[str]:
    """Pictures of what is open now; what axe finds wrong with it."""
    for size, (width, height) in SIZES.items():
        visitor.page.set_viewport_size({"width": width, "height": height})
        wide, seen = visitor.page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
        assert wide <= seen, f"{name} is {wide} pixels wide on {seen}"
        if size != "small":
            visitor.page.screenshot(path=SCREENS / f"{name}-{size}-{theme}.png")
    visitor.page.set_viewport_size(dict(zip(("width", "height"), SIZES["wide"], strict=True)))
    found = Axe().run(visitor.page, options=ABOUT_PAGES).response["violations"]
    return [f"{name}, {theme}: {v['id']} at {v['nodes'][0]['target']}" for v in found]


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_of_the_shop(shop: Shop, visit: Callable[..., Visitor], theme: str) -> None:
    SCREENS.mkdir(parents=True, exist_ok=True)
    account = shop.login("cliente@feira.local", shop.stack.secrets.demo_password)
    product = shop.http.get("/api/products?q=cenoura&limit=1").json()["items"][0]
    order = shop.buy(account, (product["id"], 2), (2, 3))
    refused = shop.checkout(account, shop.new_cart((product["id"], 1)), token="tok_declined")
    assert refused.status_code == 402
    visitor = visit(color_scheme=theme, reduced_motion="reduce")
    faults: list[str] = []

    def look(name: str, path: str | None = None) -> None:
        if path is not None:
            visitor.go(path)
        visitor.settle()
        faults.extend(looked_at(visitor, name, theme))

    # Once the display face is there; a first view may do without it, and nothing moves.
    visitor.go("/account")
    look("home", "/")
    look("search", "/?q=chocolate&sort=price")
    look("nothing", "/?q=parafuso")
    look("missing", "/products/999999999")
    look("product", f"/products/{product['id']}")
    look("sign-in", "/account")
    visitor.add(product, 2)
    look("cart")
    visitor.check_out()
    look("checkout-guest")
    visitor.sign_in(account)
    look("account")
    look("checkout", "/checkout")
    look("orders", "/orders")
    look("order", f"/orders/{order['id']}")
    assert faults == []


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_every_page_of_the_console(
    shop: Shop, admin: Account, visit: Callable[..., Visitor], theme: str
) -> None:
    SCREENS.mkdir(parents=True, exist_ok=True)
    order = shop.buy(shop.new_user(), (shop.new_product()["id"], 1))
    visitor = visit(color_scheme=theme, reduced_motion="reduce")
    visitor.go("/console")
    faults = looked_at(visitor, "console-door", theme)
    visitor.sign_in(admin, "/console")
    visitor.page.wait_for_selector(".low li, .low .muted")
    visitor.page.wait_for_selector(".bars")
    faults += looked_at(visitor, "console-today", theme)
    for name in ("products", "products/1", "products/new", "orders", "letters", "users", "parts"):
        visitor.go(f"/console/{name}")
        if name == "parts":
            visitor.page.wait_for_selector(".parts li")
        visitor.settle()
        faults += looked_at(visitor, f"console-{name.replace('/', '-')}", theme)
    visitor.go(f"/console/orders/{order['id']}")
    visitor.page.wait_for_selector(".timeline li")
    faults += looked_at(visitor, "console-order", theme)
    assert faults == []


def test_the_pictures_are_there() -> None:
    taken = {path.name for path in Path(SCREENS).glob("*.png")}
    assert {"home-wide-light.png", "order-phone-dark.png", "console-today-wide-light.png"} <= taken
