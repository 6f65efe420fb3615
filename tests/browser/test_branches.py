"""The console of a shop with another branch: stock is sent there once, and its state is seen."""

from __future__ import annotations

import re

from playwright.sync_api import Route, expect

from tests.browser.filial import Filial
from tests.browser.visitor import Visitor, lose_answer
from tests.shop import Account, Shop, wait_until

DOOR = "**/api/stock-transfers"
PAGE = "/console/branches"


def fill_in(visitor: Visitor, sku: str, quantity: int) -> None:
    """Say what is to be sent."""
    visitor.page.get_by_label("Produto (nome").fill(sku)
    visitor.page.get_by_label("Unidades").fill(str(quantity))


def test_units_are_sent_once_whatever_becomes_of_the_answer(
    shop: Shop, operator: Account, visitor: Visitor, filial: Filial
) -> None:
    product = shop.new_product(stock=9, name="Pamonha doce")
    visitor.sign_in(operator, PAGE)
    # What is meant is found by its name, with how many there are.
    visitor.page.get_by_label("Produto (nome").press_sequentially("pamonha")
    expect(visitor.page.locator("datalist option")).to_have_text(["Pamonha doce: 9 aqui"])
    fill_in(visitor, product["sku"], 4)
    expect(visitor.page.locator("form .hint")).to_have_text("Pamonha doce: 9 aqui")
    # Given an answer that is lost, and a page that is closed while it waits
    visitor.page.route(DOOR, lose_answer, times=1)
    visitor.page.get_by_role("button", name="Enviar").click()
    expect(visitor.page.locator("form .said")).to_contain_text("Sem resposta da loja: de novo em")
    visitor.page.reload()
    # Then it goes on by itself, as the same transfer
    expect(visitor.page.locator("form .said")).to_have_text("Saiu daqui, está a caminho.")
    row = visitor.page.locator("tbody tr", has_text=product["sku"])
    expect(row).to_have_count(1)
    expect(row).to_contain_text("matriz → filial")
    expect(row.locator(".state")).to_have_text("a caminho")
    sent = [r.post_data_json for r in visitor.requests if r.method == "POST"
            and r.url.endswith("/api/stock-transfers")]  # fmt: skip
    assert len(sent) == 2
    assert sent[0] == sent[1]
    assert re.fullmatch("[0-7][0-9A-HJKMNP-TV-Z]{25}", sent[0]["id"])
    assert shop.stock(product["id"]) == 5
    # And the page tells that it arrived once the other branch says so.
    wait_until(lambda: filial.was_sent(sent[0]["id"]))
    (transfer,) = [
        each
        for each in shop.http.get(
            "/api/stock-transfers?limit=100", headers=operator.headers
        ).json()["items"]
        if each["id"] == sent[0]["id"]
    ]
    filial.receive(shop, transfer)
    expect(row.locator(".state")).to_have_text("chegou")


def test_a_refused_transfer_says_why_and_the_next_is_another_one(
    shop: Shop, operator: Account, visitor: Visitor
) -> None:
    product = shop.new_product(stock=2)
    visitor.sign_in(operator, PAGE)
    said = visitor.page.locator("form .said")
    send = visitor.page.get_by_role("button", name="Enviar")
    fill_in(visitor, product["sku"], 3)
    send.click()
    expect(said).to_have_text("Só há 2 no estoque.")
    fill_in(visitor, "NAO-HA", 1)
    send.click()
    expect(said).to_have_text("Não há produto com este código.")
    # A fault says nothing of what was done: that transfer stays until it is known.
    visitor.page.route(DOOR, lambda route: route.fulfill(status=500, json={}), times=1)
    fill_in(visitor, product["sku"], 1)
    send.click()
    again = visitor.page.get_by_role("button", name="Tentar de novo")
    expect(again).to_be_enabled()
    expect(visitor.page.get_by_label("Unidades")).to_be_disabled()
    again.click()
    expect(said).to_have_text("Saiu daqui, está a caminho.")
    expect(visitor.page.get_by_label("Unidades")).to_be_enabled()
    ids = [r.post_data_json["id"] for r in visitor.requests if r.method == "POST"
           and r.url.endswith("/api/stock-transfers")]  # fmt: skip
    assert len(ids) == 4
    assert len(set(ids)) == 3
    assert ids[2] == ids[3]
    assert shop.stock(product["id"]) == 1


def test_a_shop_without_branches_says_so(operator: Account, visitor: Visitor) -> None:
    def alone(route: Route) -> None:
        status = route.fetch().json()
        for service in ("catalog", "orders"):
            status[service].pop("peers")
        route.fulfill(json=status)

    visitor.page.route("**/status", alone)
    visitor.page.route(
        f"{DOOR}?**", lambda route: route.fulfill(json={"items": [], "next_cursor": None})
    )
    visitor.sign_in(operator, PAGE)
    expect(visitor.page.get_by_text("Esta loja não tem outras filiais")).to_be_visible()
    expect(visitor.page.locator("form, table")).to_have_count(0)
    visitor.go("/console")
    expect(visitor.page.locator(".machine")).to_contain_text("Nenhuma: esta loja é uma só.")
    visitor.go("/console/parts")
    expect(visitor.page.get_by_role("heading", name="Dados")).to_be_visible()
    expect(visitor.page.get_by_role("heading", name="Filiais")).to_be_hidden()


def test_a_branch_that_is_away_is_seen_to_go_and_to_come_back(
    shop: Shop, operator: Account, visitor: Visitor, filial: Filial
) -> None:
    visitor.sign_in(operator, "/console/parts")
    part = visitor.page.locator(".parts li", has_text="filial")
    seen = visitor.page.locator(".seen")
    expect(part).to_have_attribute("data-state", "up")
    # The stores are there, too.
    for store in ("Redis das cestas", "Redis dos eventos"):
        expect(visitor.page.locator(".parts li", has_text=store)).to_have_attribute(
            "data-state", "up"
        )
    filial.away = True
    try:
        shop.new_product()
        expect(seen).to_contain_text("filial caiu")
        expect(part).to_contain_text("a entregar")
        visitor.go("/console")
        expect(visitor.page.locator(".machine .wrong")).to_contain_text("fora")
        visitor.go("/console/parts")
        expect(part).to_have_attribute("data-state", "away")
    finally:
        filial.away = False
    expect(seen).to_contain_text("filial voltou depois de")
    expect(part).to_have_attribute("data-state", "up")
