"""What a shopper sees while parts of the shop are away."""

from __future__ import annotations

import json
import re

from playwright.sync_api import Route, expect

from tests.browser.visitor import Visitor
from tests.race.rig import frozen, kill, wait_back
from tests.shop import Shop


def test_the_page_waits_as_long_as_it_is_asked_to_and_says_so(visitor: Visitor) -> None:
    asked: list[Route] = []

    def busy(route: Route) -> None:
        asked.append(route)
        problem = {"type": "/problems/too-many-requests", "status": 429, "title": "Too many"}
        headers = {"Retry-After": "2", "Content-Type": "application/problem+json"}
        route.fulfill(status=429, headers=headers, body=json.dumps(problem))

    visitor.page.route("**/api/products?**", busy, times=1)
    visitor.page.goto("/")
    notice = visitor.page.locator("wait-notice")
    expect(notice).to_have_text("A loja pediu um instante: de novo em 2 segundos.")
    expect(notice).to_have_text("A loja pediu um instante: de novo em 1 segundo.")
    expect(visitor.page.locator(".card:not(.skeleton)").first).to_be_visible()
    expect(notice).to_be_hidden()
    assert len(asked) == 1


def test_a_cart_that_is_waited_for_is_not_called_empty(shop: Shop, visitor: Visitor) -> None:
    visitor.add(shop.new_product(stock=3))
    visitor.page.route("**/api/carts/*", lambda route: route.abort())
    visitor.page.goto("/")
    visitor.page.get_by_role("button", name="Abrir a cesta").click()
    expect(visitor.page.locator(".drawer .skeleton")).to_be_visible()
    notice = visitor.page.locator("wait-notice")
    expect(notice).to_contain_text("Sem resposta da loja")
    # On top of everything, the open cart too.
    assert notice.evaluate("each => each.matches(':popover-open')")
    visitor.page.unroute("**/api/carts/*")
    expect(visitor.page.locator(".line output")).to_have_text("1")
    expect(notice).to_be_hidden()


def test_a_cart_that_the_catalogue_cannot_vouch_for_says_so(shop: Shop, visitor: Visitor) -> None:
    product = shop.new_product(stock=3)
    visitor.add(product)

    def unverified(route: Route) -> None:
        cart = route.fetch().json()
        for line in cart["items"]:
            line.update(verified=False, available=None, unit_price_cents=None, name=None)
            line["line_total_cents"] = None
        route.fulfill(json=cart)

    visitor.page.route("**/api/carts/*", unverified)
    visitor.page.reload()
    visitor.page.get_by_role("button", name="Abrir a cesta").click()
    expect(visitor.page.get_by_role("dialog")).to_contain_text("O catálogo não responde agora")
    # What the page knows itself it still shows; no price is made up.
    expect(visitor.page.locator(".line .name")).to_have_text(product["name"])
    expect(visitor.page.locator(".line .hint")).to_have_text("a conferir")
    expect(visitor.page.locator(".drawer .total b")).to_have_text("a conferir")


def test_the_timeline_goes_on_across_a_change_of_instance(shop: Shop, visitor: Visitor) -> None:
    product = shop.new_product(stock=3)
    visitor.sign_in(shop.new_user())
    visitor.add(product)
    visitor.check_out()
    visitor.fill_address()
    # Given a worker that stands still, so that the order waits while its page is open
    with frozen(shop.stack, "orders-worker"):
        visitor.buy.click()
        visitor.expect_status("pending")
        expect(visitor.page.locator(".timeline b")).to_have_text(["Pedido recebido"])
        expect(visitor.page.locator(".order [data-part=link]")).to_have_text("Ao vivo.")
        # When the instance that it is followed at dies
        wait_back(shop.stack, "orders", kill(shop.stack, "orders"))
        expect(visitor.page.locator(".order [data-part=link]")).to_have_text("Ao vivo.")
    # Then the page tells the rest without a reload, each step once
    visitor.expect_status("confirmed")
    expect(visitor.page.locator(".timeline b")).to_have_text(
        ["Pedido recebido", "Cesta conferida", "Doces separados", "Pagamento", "Pedido confirmado"]
    )


def test_without_a_stream_the_order_is_asked_for_again_and_again(
    shop: Shop, visitor: Visitor
) -> None:
    visitor.page.route(re.compile(r"/api/orders/\w+/events$"), lambda route: route.abort())
    visitor.sign_in(shop.new_user())
    visitor.add(shop.new_product(stock=3))
    visitor.check_out()
    visitor.fill_address()
    with frozen(shop.stack, "orders-worker"):
        visitor.buy.click()
        expect(visitor.page.locator(".order [data-part=link]")).to_contain_text("A conexão ao vivo")
    visitor.expect_status("confirmed")
    expect(visitor.page.locator(".timeline b")).to_have_count(5)
