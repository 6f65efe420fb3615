"""Promise 33: what is no quantity or price is refused, and nothing has changed."""

from __future__ import annotations

import pytest

from tests.contract.bodies import BODIES, NO_NUMBERS, UNREADABLE, Bench, Route, refused, with_text


@pytest.mark.promise(33)
@pytest.mark.parametrize(
    ("route", "place"),
    [pytest.param(r, place, id=f"{r.name} {place}") for r in BODIES for place in r.numbers],
)
def test_what_is_no_quantity_or_price_is_refused(
    bench: Bench, unchanged: None, route: Route, place: str
) -> None:
    for text in [*NO_NUMBERS, "null"]:
        if text in route.numbers[place]:
            continue
        answer = bench.send(route, with_text(route.body, place, text))
        problem = refused(answer, 400 if text in UNREADABLE else 422, text[:20])
        if text not in UNREADABLE:
            named = "body" if (text, route.method) == ("null", "PATCH") else place
            assert [fault["field"] for fault in problem["errors"]] == [named]


@pytest.mark.parametrize(
    ("path", "name", "fine"),
    [
        ("/api/products", "limit", set()),
        ("/api/products", "min_price_cents", {"0", str(2**31)}),
        ("/api/products", "max_price_cents", {"0", str(2**31)}),
        ("/api/categories", "limit", set()),
        ("/api/orders", "limit", set()),
        ("/api/users", "limit", set()),
        ("/api/products/{product_id}/stock", "quantity", set()),
        ("/api/produtos", "categoria_id", {str(2**31)}),
        ("/api/produtos", "preco_max", {"0", "1.5", "1.0", "1e9", str(2**31)}),
        ("/api/produtos/{product_id}/estoque", "quantidade", set()),
    ],
)
def test_what_is_no_number_is_refused_in_a_query(
    bench: Bench, path: str, name: str, fine: set[str]
) -> None:
    # A query is text: there "1.0" may stand for 1, while "1" and 1 are the same.
    for text in [*NO_NUMBERS, "null", "", "0x10", "1 OR 1=1", "10001" + "0" * 12]:
        if text in fine or text in ('"1"', "1.0", "9" * 5000):
            continue
        answer = bench.shop.http.get(
            path.format(**bench.ids), params={name: text}, headers=bench.admin.headers
        )
        problem = refused(answer, 422, text)
        assert [fault["field"] for fault in problem["errors"]] == [name]
