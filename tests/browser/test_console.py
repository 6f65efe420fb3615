"""The console, as operators use it."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from datetime import UTC, datetime

from playwright.sync_api import Locator, Route, expect
from redis import Redis

from chassis.ids import new_id
from local.settings import REPOSITORY
from tests.browser.visitor import Visitor
from tests.people import hired
from tests.race.rig import frozen, kill, wait_back
from tests.shop import Account, Shop


def test_it_is_for_operators_only(shop: Shop, visitor: Visitor) -> None:
    visitor.sign_in(shop.new_user(), "/console")
    expect(visitor.page.get_by_text("Esta conta não trabalha no balcão.")).to_be_visible()
    expect(visitor.page.get_by_role("navigation", name="Balcão")).to_be_hidden()


def test_of_two_edits_the_second_is_shown_both_versions(
    shop: Shop, operator: Account, visit: Callable[..., Visitor]
) -> None:
    product = shop.new_product(name="Bolo de milho", price_cents=3000)
    first, second = visit(), visit()
    for each in (first, second):
        each.sign_in(operator, "/console")
        each.go(f"/console/products/{product['id']}")
    first.page.get_by_label("Preço").fill("33,00")
    first.page.get_by_role("button", name="Guardar").click()
    expect(first.page.locator(".said").first).to_have_text("Guardado.")
    second.page.get_by_label("Preço").fill("35")
    second.page.get_by_label("Nome").fill("Bolo de milho verde")
    second.page.get_by_role("button", name="Guardar").click()
    conflict = second.page.get_by_role("form", name="Alguém guardou antes")
    expect(conflict.locator("tbody tr")).to_have_count(2)
    expect(conflict.locator("tbody tr").nth(1)).to_contain_text("R$\xa033,00")
    expect(conflict.locator("tbody tr").nth(1)).to_contain_text("R$\xa035,00")
    # The other's price stays, the own name is kept.
    conflict.get_by_label("Bolo de milho verde").check()
    conflict.get_by_role("button", name="Guardar a escolha").click()
    expect(second.page.get_by_role("heading", name="Bolo de milho verde")).to_be_visible()
    now = shop.http.get(f"/api/products/{product['id']}", headers=operator.headers).json()
    assert (now["name"], now["price_cents"], now["version"]) == ("Bolo de milho verde", 3300, 3)


def test_stock_is_adjusted_with_a_reason_and_its_ledger_shown(
    shop: Shop, operator: Account, visitor: Visitor
) -> None:
    product = shop.new_product(stock=5)
    visitor.sign_in(operator, "/console")
    visitor.go(f"/console/products/{product['id']}")
    visitor.page.get_by_label("Diferença").fill("-2")
    visitor.page.get_by_label("Motivo").fill("duas caíram no chão")
    visitor.page.get_by_role("button", name="Acertar").click()
    rows = visitor.page.get_by_role("region", name="Movimentos").locator("tbody tr")
    expect(rows.nth(0)).to_contain_text("duas caíram no chão")
    expect(rows.nth(1)).to_contain_text("first supply")
    assert shop.stock(product["id"]) == 3
    visitor.page.get_by_label("Diferença").fill("-9")
    visitor.page.get_by_label("Motivo").fill("demais")
    visitor.page.get_by_role("button", name="Acertar").click()
    expect(visitor.page.locator("section .said")).to_have_text("Só há 3 no estoque.")


def test_a_product_is_added(shop: Shop, operator: Account, visitor: Visitor) -> None:
    sku = f"N-{uuid.uuid4().hex[:10].upper()}"
    visitor.sign_in(operator, "/console")
    visitor.go("/console/products")
    visitor.page.get_by_role("link", name="Novo produto").click()
    visitor.page.get_by_label("SKU").fill(sku)
    visitor.page.get_by_label("Nome").fill("Sequilho")
    # A price that is none is said, and nothing is sent.
    visitor.page.get_by_label("Preço").fill("1.234.50")
    visitor.page.get_by_role("button", name="Guardar").click()
    expect(visitor.page.locator(".said")).to_contain_text("Escreva o preço em reais, como 33,00")
    expect(visitor.page.get_by_label("Preço")).to_be_focused()
    visitor.page.get_by_label("Preço").fill("1.234,50")
    visitor.page.get_by_label("Estoque inicial").fill("7")
    visitor.page.get_by_role("button", name="Guardar").click()
    expect(visitor.page.get_by_role("heading", name="Sequilho")).to_be_visible()
    expect(visitor.page.get_by_text(sku)).to_be_visible()
    expect(visitor.page.get_by_label("Preço")).to_have_value("1234,50")
    made = shop.http.get(f"/api/products/{visitor.page.url.rpartition('/')[2]}").json()
    assert (made["sku"], made["price_cents"], made["stock"]) == (sku, 123450, 7)


PRICES = {
    "pt": {"33,00": 3300, "33": 3300, "0,07": 7, "1,1": 110, "R$ 1.234,56": 123456,
           "10.000.000,00": 10**9, "10.000.000,01": None, "0": None, "-1": None, "33.00": None,
           "1,234": None, "1e3": None, "12.34,00": None, "": None},
    "en": {"33.00": 3300, "4.35": 435, "1,234.56": 123456, "33,00": None, "1.005": None},
}  # fmt: skip


def test_prices_are_typed_in_reais_and_exact(visitor: Visitor) -> None:
    visitor.go("/console")
    read = "texts => import('/assets/console/price.js').then(p => texts.map(p.centsOf))"
    again = "cents => import('/assets/console/price.js').then(p => cents.map(p.typed))"
    assert visitor.page.evaluate(read, list(PRICES["pt"])) == list(PRICES["pt"].values())
    assert visitor.page.evaluate(again, [7, 3300, 435, 10**9]) == [
        "0,07", "33,00", "4,35", "10000000,00"]  # fmt: skip
    visitor.page.get_by_role("button", name="English").click()
    expect(visitor.page.locator("html")).to_have_attribute("lang", "en-GB")
    assert visitor.page.evaluate(read, list(PRICES["en"])) == list(PRICES["en"].values())
    # Every price of two decimals, where floats would be off by one here and there.
    off = """() => import('/assets/console/price.js').then(({ centsOf, typed }) =>
      [...Array(200_000).keys()].slice(1).filter((n) => centsOf(typed(n)) !== n).length)"""
    assert visitor.page.evaluate(off) == 0


def test_what_is_off_sale_is_found_and_put_back(
    shop: Shop, operator: Account, visitor: Visitor
) -> None:
    product = shop.new_product(name=f"Baba de moça {uuid.uuid4().hex[:6]}")
    shop.http.delete(f"/api/products/{product['id']}", headers=operator.headers).raise_for_status()
    visitor.sign_in(operator, "/console")
    visitor.go("/console/products")
    visitor.page.get_by_label("Procurar").fill(product["name"])
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.get_by_text("Nenhum produto com esse nome.")).to_be_visible()
    visitor.page.get_by_label("Venda").select_option("off")
    visitor.page.get_by_role("link", name=product["name"]).click()
    on_sale = visitor.page.get_by_role("checkbox", name="À venda")
    expect(on_sale).not_to_be_checked()
    on_sale.check()
    visitor.page.get_by_role("button", name="Guardar").click()
    expect(visitor.page.locator(".said").first).to_have_text("Guardado.")
    assert shop.http.get(f"/api/products/{product['id']}").json()["active"]


def test_an_order_is_moved_on(shop: Shop, operator: Account, visitor: Visitor) -> None:
    order = shop.buy(shop.new_user(), (shop.new_product()["id"], 1))
    visitor.sign_in(operator, "/console")
    visitor.go(f"/console/orders/{order['id']}")
    visitor.page.get_by_role("button", name="Passar para: Em preparo").click()
    expect(visitor.page.locator(".figure")).to_have_text("Em preparo")
    expect(visitor.page.locator(".timeline b").last).to_have_text("Na cozinha")
    expect(visitor.page.get_by_role("button", name="Cancelar o pedido")).to_be_hidden()


def dead_letter(shop: Shop, product: dict[str, object]) -> str:
    """Put an event among those that the cart gave up; its subject."""
    event = {
        "specversion": "1.0",
        "id": new_id(),
        "source": "/matriz/catalog",
        "type": "product.updated",
        "subject": product["sku"],
        "time": datetime.now(UTC).isoformat(),
        "lamport": 1,
        "datacontenttype": "application/json",
        "data": product,
    }
    with Redis.from_url(shop.stack.redis_urls["redis-streams"]) as redis:
        redis.xadd(
            "dead:cart",
            {
                "service": "catalog",
                "event": json.dumps(event),
                "error": "ValueError('<b>no</b>')",
            },
        )
    return str(product["sku"])


def test_a_dead_letter_is_replayed(shop: Shop, operator: Account, visitor: Visitor) -> None:
    product = {k: v for k, v in shop.new_product().items() if k != "stock"}
    subject = dead_letter(shop, product)
    visitor.sign_in(operator, "/console")
    visitor.go("/console/letters")
    letter = visitor.page.locator(".letters li", has_text=subject)
    expect(letter.locator(".wrong")).to_have_text("ValueError('<b>no</b>')")
    letter.get_by_role("button", name="Repetir").click()
    expect(visitor.page.locator(".letters")).to_contain_text("Repetido, saiu da lista.")
    listed = shop.http.get("/api/dead-letters", headers=operator.headers).json()["items"]
    assert [each for each in listed if each["subject"] == subject] == []


def test_an_admin_gives_roles(shop: Shop, admin: Account, visitor: Visitor) -> None:
    person = hired(shop, admin, "customer")
    visitor.sign_in(admin, "/console")
    visitor.go("/console/users")
    while not visitor.page.get_by_text(person.email).count():
        visitor.page.get_by_role("link", name="Mostrar mais").click()
        visitor.page.wait_for_load_state("networkidle")
    visitor.page.get_by_label(f"Papel: {person.email}").select_option("operator")
    visitor.page.get_by_label(f"Ativa: {person.email}").uncheck()
    expect(visitor.page.get_by_label(f"Ativa: {person.email}")).not_to_be_checked()
    visitor.page.wait_for_load_state("networkidle")
    refused = shop.http.post(
        "/auth/login", json={"email": person.email, "password": person.password}
    )
    assert refused.status_code == 401


def test_today_is_live(shop: Shop, operator: Account, visitor: Visitor) -> None:
    scarce = shop.new_product(stock=2, name=f"Raro {uuid.uuid4().hex[:6]}")
    visitor.sign_in(operator, "/console")
    visitor.go("/console")
    expect(visitor.page.locator(".low")).to_contain_text(scarce["name"])
    expect(visitor.page.locator(".machine")).to_contain_text("port ")
    before = visitor.page.locator(".orders .bars").get_attribute("aria-label")
    shop.buy(shop.new_user(), (shop.new_product()["id"], 1))
    expect(visitor.page.locator(".orders .bars")).not_to_have_attribute("aria-label", before or "")


def test_a_part_that_is_away_is_seen_to_go_and_to_come_back(
    shop: Shop, operator: Account, visitor: Visitor
) -> None:
    part, seen = watch_parts(visitor, operator)
    expect(visitor.page.locator(".parts li", has_text="principal")).to_have_count(1)
    with frozen(shop.stack, "catalog-2"):
        expect(seen).to_contain_text("catalog-2 caiu", timeout=10_000)
        expect(part).to_have_attribute("data-state", "away")
    expect(seen).to_contain_text("catalog-2 voltou depois de", timeout=10_000)
    expect(part).to_have_attribute("data-state", "up")
    expect(seen.locator("li time")).to_have_count(seen.locator("li").count())
    visitor.page.screenshot(path=REPOSITORY / "reports" / "screens" / "what-happens.png")


def test_a_part_that_was_back_before_the_next_look_is_seen_too(
    shop: Shop, operator: Account, visitor: Visitor
) -> None:
    part, seen = watch_parts(visitor, operator)
    old = shop.stack.pid("catalog-2")

    def look_late(route: Route) -> None:
        kill(shop.stack, "catalog-2")
        wait_back(shop.stack, "catalog-2", old)
        route.continue_()

    visitor.page.route("**/api/parts", look_late, times=1)
    expect(seen).to_contain_text("catalog-2 caiu e voltou entre dois olhares", timeout=30_000)
    expect(part).to_have_attribute("data-state", "up")


def watch_parts(visitor: Visitor, operator: Account) -> tuple[Locator, Locator]:
    """Open the page of what happens when: a part that is up, and what was seen."""
    visitor.sign_in(operator, "/console")
    visitor.go("/console/parts")
    part = visitor.page.locator(".parts li", has_text="catalog-2")
    expect(part).to_have_attribute("data-state", "up")
    return part, visitor.page.locator(".seen")
