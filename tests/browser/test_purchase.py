"""A purchase happens once and its order is not lost, whatever becomes of the page meanwhile."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from playwright.sync_api import Route, expect

from tests.browser.visitor import Visitor, lose_answer
from tests.race.rig import family, wait_back
from tests.shop import ADDRESS, Account, Shop, wait_until

CHECKOUT = "**/api/orders"


def orders_of(shop: Shop, account: Account) -> list[dict[str, Any]]:
    """What the account has bought, newest first."""
    found: list[dict[str, Any]] = shop.http.get("/api/orders", headers=account.headers).json()[
        "items"
    ]
    return found


def at_the_till(shop: Shop, visitor: Visitor, stock: int = 5) -> tuple[Account, dict[str, Any]]:
    """A customer with one of a product in the cart and the checkout filled in."""
    account, product = shop.new_user(), shop.new_product(stock=stock, name="Quindim")
    visitor.sign_in(account)
    visitor.add(product)
    visitor.check_out()
    visitor.fill_address()
    return account, product


def bought_once(shop: Shop, account: Account, product: dict[str, Any], order: str) -> None:
    """One order, this one, and one unit gone."""
    assert [each["id"] for each in orders_of(shop, account)] == [order]
    assert shop.stock(product["id"]) == product["stock"] - 1


def test_a_guest_buys_and_sees_it_happen(shop: Shop, visitor: Visitor) -> None:
    product = shop.new_product(stock=3, name="Bem-casado", price_cents=1250)
    visitor.go(f"/products/{product['id']}")
    expect(visitor.page.locator(".facts .hint")).to_have_text("Últimas 3")
    visitor.add(product, 2)
    # A reload forgets nothing.
    visitor.page.reload()
    expect(visitor.page.get_by_role("button", name="Abrir a cesta, 2 itens")).to_be_visible()
    visitor.page.get_by_role("button", name="Abrir a cesta").click()
    expect(visitor.page.locator(".line img")).to_have_attribute("src", product["image_url"])
    visitor.check_out()
    visitor.register()
    visitor.fill_address()
    expect(visitor.buy).to_have_text("Comprar por R$\xa025,00")
    visitor.buy.click()
    visitor.expect_status("confirmed")
    steps = visitor.page.locator(".timeline b")
    expect(steps).to_have_text(
        ["Pedido recebido", "Cesta conferida", "Doces separados", "Pagamento", "Pedido confirmado"]
    )
    expect(
        visitor.page.get_by_role("button", name=re.compile("Abrir a cesta, 0 ite"))
    ).to_be_visible()
    visitor.page.get_by_role("link", name="Meus pedidos").first.click()
    expect(visitor.page.locator(".orders a")).to_have_count(1)


def test_a_double_click_buys_once(shop: Shop, visitor: Visitor) -> None:
    account, product = at_the_till(shop, visitor)
    visitor.buy.dblclick()
    order = visitor.expect_status("confirmed")
    bought_once(shop, account, product, order)


def test_a_lost_answer_is_asked_for_again_with_the_same_key(shop: Shop, visitor: Visitor) -> None:
    account, product = at_the_till(shop, visitor)
    visitor.page.route(CHECKOUT, lose_answer, times=1)
    visitor.buy.click()
    expect(visitor.page.locator("form.panel .said")).to_contain_text("Sem resposta da loja")
    order = visitor.expect_status("confirmed")
    keys = [r.headers["idempotency-key"] for r in visitor.requests if r.method == "POST"
            and r.url.endswith("/api/orders")]  # fmt: skip
    assert len(keys) == 2
    assert len(set(keys)) == 1
    bought_once(shop, account, product, order)


def test_a_page_that_is_closed_in_mid_checkout_carries_on(shop: Shop, visitor: Visitor) -> None:
    account, product = at_the_till(shop, visitor)
    held: list[Route] = []

    def do_and_hold(route: Route) -> None:
        route.fetch()
        held.append(route)

    visitor.page.route(CHECKOUT, do_and_hold, times=1)
    visitor.buy.click()
    wait_until(lambda: held or visitor.page.wait_for_timeout(20))
    visitor.page.reload()
    order = visitor.expect_status("confirmed")
    bought_once(shop, account, product, order)


def test_orders_killed_in_mid_checkout_loses_and_doubles_nothing(
    shop: Shop, visitor: Visitor
) -> None:
    account, product = at_the_till(shop, visitor)
    killed: list[int] = []

    def kill_first(route: Route) -> None:
        killed.append(shop.stack.pid("orders"))
        for process in family(shop.stack, "orders"):
            process.kill()
        route.continue_()

    visitor.page.route(CHECKOUT, kill_first, times=1)
    visitor.buy.click()
    # The page says that it waits, and for how long.
    said = visitor.page.locator("form.panel .said")
    expect(said).to_contain_text("de novo em")
    order = visitor.expect_status("confirmed")
    wait_back(shop.stack, "orders", killed[0])
    bought_once(shop, account, product, order)


def test_what_sold_out_in_the_cart_is_offered_as_it_is_left(shop: Shop, visitor: Visitor) -> None:
    account = shop.new_user()
    few = shop.new_product(stock=3, name="Camafeu")
    gone = shop.new_product(stock=1, name="Fios de ovos")
    visitor.sign_in(account)
    visitor.add(few, 3)
    visitor.add(gone)
    visitor.check_out()
    visitor.fill_address()
    shop.buy(shop.new_user(), (few["id"], 2), (gone["id"], 1))
    visitor.buy.click()
    visitor.expect_status("failed")
    expect(visitor.page.locator(".lead")).to_contain_text("Alguém chegou antes")
    # Line by line, also after a reload; the last one leads back to buying.
    visitor.page.reload()
    visitor.page.get_by_role("button", name="Ficar com 1 de Camafeu").click()
    drop = visitor.page.get_by_role("button", name="Tirar Fios de ovos")
    expect(drop).to_be_focused()
    drop.click()
    visitor.fill_address()
    visitor.buy.click()
    visitor.expect_status("confirmed")
    assert shop.stock(few["id"]) == 0


def test_a_declined_card_keeps_the_cart_and_the_address(shop: Shop, visitor: Visitor) -> None:
    account, product = at_the_till(shop, visitor)
    visitor.page.get_by_text("Cartão recusado").click()
    visitor.buy.click()
    visitor.expect_status("failed")
    expect(visitor.page.locator(".lead")).to_contain_text("O cartão foi recusado")
    visitor.page.get_by_role("link", name="Voltar à cesta").click()
    expect(visitor.page.locator("[name=street]")).to_have_value(ADDRESS["street"])
    visitor.buy.click()
    visitor.expect_status("confirmed")
    assert [each["status"] for each in orders_of(shop, account)] == ["confirmed", "failed"]
    assert shop.stock(product["id"]) == 4
    # Once it is bought nothing that scripts could read has the address.
    visitor.page.wait_for_function(
        "street => !JSON.stringify([{...localStorage}, {...sessionStorage}]).includes(street)",
        arg=ADDRESS["street"],
    )


def test_an_order_is_cancelled_from_its_page(shop: Shop, visitor: Visitor) -> None:
    _, product = at_the_till(shop, visitor)
    visitor.buy.click()
    visitor.expect_status("confirmed")
    visitor.page.once("dialog", lambda dialog: dialog.accept())
    visitor.page.get_by_role("button", name="Cancelar o pedido").click()
    visitor.expect_status("cancelled")
    wait_until(lambda: shop.stock(product["id"]) == 5)


def test_a_worn_out_token_is_renewed_once_and_unnoticed(
    shop: Shop, admin: Account, visit: Callable[..., Visitor]
) -> None:
    visitor, account = visit(), shop.new_user()
    visitor.sign_in(account)
    # Another role calls back every access token of the account.
    for role in ("operator", "customer"):
        shop.http.patch(
            f"/api/users/{account.id}", json={"role": role}, headers=admin.headers
        ).raise_for_status()
    visitor.requests.clear()
    visitor.page.get_by_role("link", name="Meus pedidos").first.click()
    expect(visitor.page.get_by_text("Nenhum pedido ainda.")).to_be_visible()
    renewals = [r for r in visitor.requests if r.url.endswith("/auth/refresh")]
    assert len(renewals) == 1
    # No script can read what was used for it, and the page keeps no token.
    assert "feira-refresh" not in visitor.page.evaluate("document.cookie")
    kept = visitor.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
    assert "eyJ" not in kept
    (cookie,) = visitor.context.cookies(f"{shop.stack.url}/auth/refresh")
    assert (cookie["httpOnly"], cookie["sameSite"], cookie["path"]) == (True, "Strict", "/auth")
    # It outlives a reload.
    visitor.page.reload()
    expect(visitor.page.get_by_role("link", name="Ana", exact=True)).to_be_visible()
