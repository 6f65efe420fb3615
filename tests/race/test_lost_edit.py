"""Promise 13: of two edits of the same state, one wins and the other is told."""

from __future__ import annotations

import httpx
import pytest

from local.stack import Stack
from tests.figures import figure
from tests.race.rig import FULL, counted, is_problem, own_shops, together
from tests.shop import Shop

PAIRS = 100 if FULL else 30


@pytest.mark.promise(13)
def test_two_edits_on_one_etag(stack: Stack, shop: Shop) -> None:
    product = shop.new_product(stock=5)["id"]
    headers = shop.operator.headers
    pairs = []
    with own_shops(stack, 2) as shops:
        for n in range(PAIRS):
            seen = shop.http.get(f"/api/products/{product}", headers=headers | NEWEST)

            def edit(own: Shop, cents: int, etag: str) -> httpx.Response:
                fields = {"price_cents": cents}
                match = {**headers, "If-Match": etag}
                return own.http.patch(f"/api/products/{product}", json=fields, headers=match)

            prices = (1000 + 2 * n, 1001 + 2 * n)
            works = [
                lambda s=s, c=c, e=seen.headers["ETag"]: edit(s, c, e)
                for s, c in zip(shops, prices, strict=True)
            ]
            answers = together(works)
            after = shop.http.get(f"/api/products/{product}", headers=headers | NEWEST).json()
            pairs.append((seen.json(), dict(zip(prices, answers, strict=True)), after))
    statuses = [sorted(a.status_code for a in answers.values()) for _, answers, _ in pairs]
    figure("promise 13", f"pairs of edits: {counted(statuses)}")

    assert statuses == [[200, 412]] * PAIRS
    for before, answers, after in pairs:
        won = next(price for price, answer in answers.items() if answer.status_code == 200)
        lost = next(answer for answer in answers.values() if answer.status_code == 412)
        assert after == before | {"price_cents": won, "version": before["version"] + 1}
        assert is_problem(lost) and lost.json()["version"] == after["version"]


# A token that no standby can have replayed sends the read to the primary.
NEWEST = {"X-Consistency-Token": "catalog:FFFFFFFF/FFFFFFFF"}
