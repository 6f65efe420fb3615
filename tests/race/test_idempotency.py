"""Promises 6 to 9: a key stands for one order, of one user, with one answer."""

from __future__ import annotations

import uuid
from typing import Any

import httpx
import pytest

from chassis.ids import new_id
from local.stack import Stack
from tests.figures import figure, reached
from tests.race.rig import (
    FULL,
    away,
    counted,
    frozen,
    is_problem,
    ledgers,
    own_shops,
    rows,
    seconds_of,
    slug,
    together,
)
from tests.shop import ADDRESS, Account, Shop, wait_until

RETRIED_KEYS = 1000 if FULL else 16
PARALLEL_KEYS = 500 if FULL else 12
WRONG_REQUESTS = 200 if FULL else 20
SHARED_KEYS = 100 if FULL else 10
LONGEST_SECONDS = 1800 if FULL else 110


def orders_of(stack: Stack, user: Account) -> list[tuple[str, str, str]]:
    """(id, status, cart id) of every order of a user, failed ones too."""
    query = "SELECT id, status, cart_id FROM orders WHERE user_id = %s ORDER BY id"
    return [(row[0], row[1], row[2]) for row in rows(stack, "orders", query, user.id)]


def said(answer: httpx.Response) -> tuple[int, str | None, Any]:
    """What a replay must repeat; a problem's `instance` names the request, which is another."""
    body = answer.json()
    body.pop("instance", None)
    return answer.status_code, answer.headers.get("Location"), body


@pytest.mark.promise(6, minutes=2)
def test_a_retried_key_has_one_effect_and_one_answer(
    stack: Stack, shop: Shop, customer: Account
) -> None:
    product = shop.new_product(stock=RETRIED_KEYS)["id"]
    tokens = ["tok_declined" if n % 8 == 7 else "tok_ok" for n in range(RETRIED_KEYS)]

    def retry(own: Shop, mine: list[str]) -> list[list[httpx.Response]]:
        found = []
        for token in mine:
            cart, key = own.new_cart((product, 1)), uuid.uuid4().hex
            found.append([own.checkout(customer, cart, token=token, key=key) for _ in range(10)])
        return found

    with own_shops(stack, 4) as shops:
        works = [lambda s=s, n=n: retry(s, tokens[n::4]) for n, s in enumerate(shops)]
        keys = [answers for each in together(works, LONGEST_SECONDS) for answers in each]
    orders = orders_of(stack, customer)
    statuses = counted(answer.status_code for answers in keys for answer in answers)
    figure("promise 6", f"{len(keys)} keys x 10: {len(orders)} orders; {statuses}")

    for answers in keys:
        assert [said(answer) for answer in answers] == [said(answers[0])] * 10
        first = answers[0]
        if first.status_code == 201:
            assert {answer.content for answer in answers} == {first.content}
            assert first.headers["Location"] == f"/api/orders/{first.json()['id']}"
        else:
            assert slug(first) == "402 payment-declined"
    confirmed = [order_id for order_id, status, _ in orders if status == "confirmed"]
    assert len(orders) == len(keys)
    assert set(confirmed) == {a[0].json()["id"] for a in keys if a[0].status_code == 201}
    assert len(confirmed) == tokens.count("tok_ok")
    assert shop.stock(product) == RETRIED_KEYS - len(confirmed)


@pytest.mark.promise(7, minutes=2)
def test_the_same_key_at_once_makes_one_order(stack: Stack, shop: Shop, customer: Account) -> None:
    product = shop.new_product(stock=PARALLEL_KEYS * 20)["id"]
    carts = [shop.new_cart((product, 1)) for _ in range(PARALLEL_KEYS)]
    keys = []
    with own_shops(stack, 20) as shops:
        for number, cart in enumerate(carts):
            reached(number / PARALLEL_KEYS)
            key = uuid.uuid4().hex
            works = [lambda s=s, c=cart, k=key: s.checkout(customer, c, key=k) for s in shops]
            keys.append(together(works))
    outcomes = [slug(answer) for answers in keys for answer in answers]
    orders = orders_of(stack, customer)
    figure("promise 7", f"{len(keys)} keys x 20 at once: {len(orders)} orders; {counted(outcomes)}")

    assert set(outcomes) <= {"201", "409 in-progress"}
    for answers in keys:
        assert len({answer.content for answer in answers if answer.status_code == 201}) == 1
    assert all("Retry-After" in a.headers for each in keys for a in each if a.status_code == 409)
    assert [(status, cart) for _, status, cart in orders] == [("confirmed", c) for c in carts]
    assert shop.stock(product) == PARALLEL_KEYS * 19


@pytest.mark.promise(8)
def test_a_key_with_another_body_is_refused(stack: Stack, shop: Shop, customer: Account) -> None:
    product = shop.new_product(stock=10)["id"]
    cart, other_cart = shop.new_cart((product, 1)), shop.new_cart((product, 2))
    key = uuid.uuid4().hex
    first = shop.checkout(customer, cart, key=key)
    before = orders_of(stack, customer)
    changes: list[dict[str, Any]] = [
        {"cart_id": other_cart},
        {"token": "tok_declined"},
        {"shipping_address": ADDRESS},
        {"shipping_address": ADDRESS | {"number": "11"}},
    ]
    answers = [
        shop.checkout(customer, key=key, **{"cart_id": cart} | changes[n % len(changes)])
        for n in range(WRONG_REQUESTS)
    ]
    figure("promise 8", f"changed bodies: {counted(map(slug, answers))}")

    assert {slug(answer) for answer in answers} == {"422 idempotency-key-reused"}
    assert all(is_problem(answer) for answer in answers)
    assert orders_of(stack, customer) == before
    assert shop.stock(product) == 9
    assert said(shop.checkout(customer, cart, key=key)) == said(first)


MALFORMED: list[bytes | None] = [
    None,
    b"",
    b"two words",
    b"tab\tinside",
    "ação".encode(),
    "ação".encode("latin-1"),
    b"del\x7f",
    b"k" * 256,
]


@pytest.mark.promise(8)
def test_a_purchase_without_a_proper_key_is_refused(
    stack: Stack, shop: Shop, customer: Account
) -> None:
    product = shop.new_product(stock=5)["id"]
    cart = shop.new_cart((product, 1))
    body = {"cart_id": cart, "payment": {"method": "card", "token": "tok_ok"}}
    answers = []
    for key in MALFORMED * (WRONG_REQUESTS // len(MALFORMED)):
        headers: list[tuple[bytes, bytes]] = [(b"Authorization", b"Bearer " + _token(customer))]
        headers += [] if key is None else [(b"Idempotency-Key", key)]
        answers.append(shop.http.post("/api/orders", json=body, headers=headers))
    figure("promise 8", f"no key or a malformed one: {counted(a.status_code for a in answers)}")

    assert {answer.status_code for answer in answers} == {400}
    assert all(is_problem(answer) for answer in answers)
    assert orders_of(stack, customer) == []
    assert shop.stock(product) == 5
    longest = "".join(chr(c) for c in range(0x21, 0x7F)) * 3
    assert shop.checkout(customer, cart, key=longest[:255]).status_code == 201


def _token(user: Account) -> bytes:
    return user.token.encode()


@pytest.mark.promise(9)
def test_a_key_belongs_to_its_user(stack: Stack, shop: Shop) -> None:
    product = shop.new_product(stock=SHARED_KEYS * 2)["id"]
    owner, other = shop.new_user(), shop.new_user("Bia Lima")
    outcomes = []
    for number in range(SHARED_KEYS):
        cart, key = shop.new_cart((product, 1)), uuid.uuid4().hex
        first = shop.checkout(owner, cart, key=key, shipping_address=ADDRESS)
        if number % 2:  # Then there is nothing to buy, and only the key says what was bought.
            wait_until(lambda of=cart: not shop.http.get(f"/api/carts/{of}").json()["items"])
        # The same key and the same body, but somebody else.
        second = shop.checkout(other, cart, key=key, shipping_address=ADDRESS)
        third = shop.checkout(other, shop.new_cart((product, 1)), key=key)
        outcomes += [slug(answer) for answer in (first, second, third)]
        mine = first.json()["id"]
        for answer in (second, third):
            assert mine not in answer.text and mine not in str(answer.headers)
            assert ADDRESS["recipient"] not in answer.text
        assert said(shop.checkout(owner, cart, key=key, shipping_address=ADDRESS)) == said(first)
        found = shop.http.get(f"/api/orders/{mine}", headers=other.headers)
        assert slug(found) == "404 order-not-found"
    figure("promise 9", f"{SHARED_KEYS} keys of one user, used by another: {counted(outcomes)}")

    assert set(outcomes) <= {"201", "409 cart-already-ordered", "409 cart-empty"}
    assert len([1 for _, status, _ in orders_of(stack, owner) if status == "confirmed"]) == (
        len([1 for _, status, _ in orders_of(stack, other) if status == "confirmed"])
    )


@pytest.mark.promise(3)
@pytest.mark.parametrize("how", [away, frozen])
def test_a_key_is_free_again_once_the_catalog_is_back(
    stack: Stack, shop: Shop, customer: Account, how: Any
) -> None:
    product = shop.new_product(stock=5)["id"]
    cart, key = shop.new_cart((product, 2)), uuid.uuid4().hex
    with how(stack, "catalog-1", "catalog-2"):
        waited, refused = seconds_of(lambda: shop.checkout(customer, cart, key=key))
        kept = shop.http.get(f"/api/carts/{cart}").json()["items"]

    assert refused.status_code == 503 and is_problem(refused)
    assert int(refused.headers["Retry-After"]) > 0
    assert waited < 8  # the deadline of a checkout, 5 s here, and what it takes to write it down
    assert [(item["product_id"], item["quantity"]) for item in kept] == [(product, 2)]

    last: list[httpx.Response] = []

    def bought() -> bool:
        last[:] = [shop.checkout(customer, cart, key=key)]
        assert slug(last[0]) in ("201", "409 in-progress", "503 checkout-unfinished"), last[0].text
        return last[0].status_code == 201

    until, _ = seconds_of(lambda: wait_until(bought, 20))
    outcome = f"503 after {waited:.1f} s; the same key bought {until:.1f} s after its return"
    figure("promise 10", f"both catalogs {how.__name__}: {outcome}")
    orders = orders_of(stack, customer)
    assert [status for _, status, _ in orders if status != "failed"] == ["confirmed"]
    wait_until(lambda: ledgers(stack, [product])[product].sold == 2)
    assert ledgers(stack, [product])[product].available == 3
    paid = "SELECT order_id FROM payments JOIN orders ON id = order_id WHERE user_id = %s"
    assert rows(stack, "orders", paid, customer.id) == [(last[0].json()["id"],)]


@pytest.mark.promise(3)
def test_a_hold_for_no_order_is_given_back_but_not_while_orders_is_silent(
    stack: Stack, shop: Shop
) -> None:
    product = shop.new_product(stock=5)["id"]
    catalog = httpx.Client(
        base_url=stack.services.url("catalog-1"),
        headers={"X-Service-Token": stack.secrets.service_token},
        trust_env=False,
    )
    body = {"items": [{"product_id": product, "quantity": 2}], "ttl_seconds": 1}

    # The sweeper tells what it made of each hold that it asked orders about.
    sweeper_log = stack.settings.logs / "catalog-background.log"

    def past_ttl() -> int:
        counts: int = catalog.get("/status").json()["stock"]["reservations_past_ttl"]
        return counts

    with catalog:
        with frozen(stack, "orders"):
            held = catalog.post("/api/reservations", json=body | {"id": new_id()})
            assert held.status_code == 201
            wait_until(past_ttl, 10)
            wait_until(lambda: held.json()["id"] in sweeper_log.read_text("utf-8"), 10)
            assert ledgers(stack, [product])[product].held == 2
        waited, _ = seconds_of(lambda: wait_until(lambda: shop.stock(product) == 5, 15))
        assert ledgers(stack, [product])[product].held == 0
        wait_until(lambda: past_ttl() == 0, 10)
    figure("trap 4", f"orphan hold kept, shown in /status, released {waited:.1f} s later")
