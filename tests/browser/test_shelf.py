"""Finding things: search, filters, pages, and an address that says it all."""

from __future__ import annotations

import re
import uuid
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import expect

from tests.browser.visitor import Visitor
from tests.shop import Shop


def lists(visitor: Visitor) -> list[dict[str, list[str]]]:
    """The queries of the product lists that were asked for."""
    urls = [urlsplit(request.url) for request in visitor.requests]
    return [parse_qs(url.query) for url in urls if url.path == "/api/products"]


def test_a_search_follows_the_typing_and_the_address_follows_it(visitor: Visitor) -> None:
    visitor.go("/")
    expect(visitor.page.locator(".card:not(.skeleton)")).to_have_count(24)
    visitor.requests.clear()
    search = visitor.page.get_by_role("searchbox")
    search.press_sequentially("brigadeiro", delay=30)
    expect(visitor.page.get_by_role("heading", name="“brigadeiro”")).to_be_visible()
    expect(search).to_be_focused()
    expect(visitor.page).to_have_url(re.compile(r"/\?q=brigadeiro$"))
    # Ten letters are fewer than ten questions.
    assert [query["q"] for query in lists(visitor)][-1] == ["brigadeiro"]
    assert len(lists(visitor)) <= 3
    # Back is one step, to the shelf as it was; forward is the search again.
    visitor.page.go_back()
    expect(visitor.page.get_by_role("heading", name="Na prateleira")).to_be_visible()
    expect(visitor.page.locator(".card:not(.skeleton)")).to_have_count(24)
    visitor.page.go_forward()
    expect(visitor.page.get_by_role("heading", name="“brigadeiro”")).to_be_visible()


def test_an_older_answer_never_replaces_a_newer_one(visitor: Visitor) -> None:
    held = []
    visitor.go("/")
    visitor.page.route(re.compile(r"q=bolo$"), lambda route: held.append(route))
    search = visitor.page.get_by_role("searchbox")
    search.fill("bolo")
    visitor.page.wait_for_url("**/?q=bolo")
    with visitor.page.expect_event("requestfailed", lambda each: each.url.endswith("q=bolo")):
        search.fill("pudim")
    expect(visitor.page.get_by_role("heading", name="“pudim”")).to_be_visible()
    assert len(held) == 1


def test_filters_are_in_the_address_and_pages_go_on(visitor: Visitor) -> None:
    visitor.go("/?sort=-price&max_price_cents=5000&in_stock=true")
    expect(visitor.page.get_by_label("Só o que há")).to_be_checked()
    expect(visitor.page.get_by_label("Ordem")).to_have_value("-price")
    cards = visitor.page.locator(".card:not(.skeleton)")
    expect(cards).to_have_count(24)
    visitor.page.get_by_role("button", name="Mostrar mais").click()
    expect(cards).to_have_count(48)
    links = cards.get_by_role("link").evaluate_all("(all) => all.map((each) => each.href)")
    assert len(set(links)) == 48
    # Coming back from a product shows both pages, at the place that was left.
    cards.nth(40).scroll_into_view_if_needed()
    before = visitor.page.evaluate("scrollY")
    cards.nth(40).get_by_role("link").click()
    visitor.page.wait_for_selector(".product:not(.loading)")
    visitor.page.go_back()
    expect(cards).to_have_count(48)
    assert abs(visitor.page.evaluate("scrollY") - before) < 50
    visitor.page.get_by_label("Ordem").select_option("price")
    expect(visitor.page).to_have_url(re.compile("sort=price"))


def test_nothing_found_and_nothing_there_are_said(visitor: Visitor) -> None:
    visitor.go(f"/?q={uuid.uuid4().hex}")
    expect(visitor.page.get_by_text("Nada com esse nome na prateleira.")).to_be_visible()
    visitor.go("/products/999999999")
    expect(visitor.page.get_by_text("Não achamos este doce.")).to_be_visible()


def test_a_page_whose_script_did_not_come_says_so(visitor: Visitor) -> None:
    visitor.page.route("**/router.js", lambda route: route.abort())
    visitor.page.goto("/")
    said = "getComputedStyle(document.querySelector('main'), '::after').visibility"
    assert visitor.page.evaluate(said) == "hidden"
    visitor.page.evaluate("document.getAnimations().forEach((each) => each.finish())")
    assert visitor.page.evaluate(said) == "visible"


def test_both_languages_and_their_numbers(shop: Shop, visitor: Visitor) -> None:
    product = shop.new_product(price_cents=123456)
    visitor.go(f"/products/{product['id']}")
    expect(visitor.page.locator(".price.big")).to_have_text("R$\xa01.234,56")
    visitor.page.get_by_role("button", name="English").click()
    expect(visitor.page.locator(".price.big")).to_have_text("R$1,234.56")
    expect(visitor.page.locator("html")).to_have_attribute("lang", "en-GB")
    visitor.page.reload()
    expect(visitor.page.get_by_role("button", name="Add to basket")).to_be_visible()


def test_the_keyboard_is_enough(shop: Shop, visitor: Visitor) -> None:
    product = shop.new_product(stock=9)
    visitor.go(f"/products/{product['id']}")
    visitor.page.get_by_role("button", name="Pôr na cesta").focus()
    visitor.page.keyboard.press("Enter")
    dialog = visitor.page.get_by_role("dialog")
    expect(dialog).to_be_visible()
    assert dialog.evaluate("(each) => each.contains(document.activeElement)")
    more = visitor.page.get_by_role("button", name="Um a mais: ")
    more.focus()
    visitor.page.keyboard.press("Enter")
    expect(visitor.page.locator(".line output")).to_have_text("2")
    # The line was drawn anew, and the focus is where it was.
    expect(more).to_be_focused()
    visitor.page.keyboard.press("Escape")
    expect(dialog).to_be_hidden()
    expect(visitor.page.get_by_role("button", name="Pôr na cesta")).to_be_focused()
