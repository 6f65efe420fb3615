"""The gateway's micro-cache: what it holds, for how long, and what it never hands to another."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import count

import httpx
import pytest

from tests.gateway_rig import Rig, running_gateway
from tests.stand_in import Answer, Arrival, HangUp

_ids = count(1)


@pytest.fixture(scope="module")
def shared_rig() -> Iterator[Rig]:
    with running_gateway() as rig:
        yield rig


@pytest.fixture
def rig(shared_rig: Rig) -> Rig:
    shared_rig.reset()
    return shared_rig


@pytest.fixture
def client(rig: Rig) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=rig.url) as client:
        yield client


@pytest.fixture
def path() -> str:
    """A product that no other test has asked for."""
    return f"/api/products/{next(_ids)}"


def numbered() -> Callable[[Arrival], Answer]:
    """A catalog whose answers count up, so that a cached one shows."""
    numbers = count(1)
    return lambda _: Answer(body=b"%d" % next(numbers))


def until(status: str, ask: Callable[[], httpx.Response], seconds: float = 5.0) -> httpx.Response:
    """Ask until X-Cache-Status is this."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        response = ask()
        if response.headers["x-cache-status"] == status:
            return response
        time.sleep(0.05)
    raise AssertionError(f"never {status}")


def test_a_public_read_is_asked_once_and_again_when_it_has_aged(
    rig: Rig, client: httpx.Client
) -> None:
    # What the catalog tells browsers does not change how long the gateway keeps an answer.
    said = {f"/api/products/{next(_ids)}": value for value in ("max-age=600", "no-cache")}
    said["/api/categories"] = "public, max-age=60"
    numbers = {path: count(1) for path in said}
    rig.catalog_says(
        lambda arrival: Answer(
            body=b"%d" % next(numbers[arrival.target]),
            headers={"Cache-Control": said[arrival.target]},
        )
    )
    for path, value in said.items():
        first, second, head = client.get(path), client.get(path), client.head(path)
        assert [r.headers["x-cache-status"] for r in (first, second, head)] == [
            "MISS",
            "HIT",
            "HIT",
        ]
        assert (first.text, second.text, head.text) == ("1", "1", "")
        assert second.headers.get_list("cache-control") == [value]
    for path in said:
        # Never older than the setting plus one request: the first after it waits for the new one.
        assert until("EXPIRED", partial(client.get, path)).text == "2"


def test_browsers_are_told_to_ask_again_when_the_catalog_says_nothing(
    client: httpx.Client, path: str
) -> None:
    for _ in range(2):
        assert client.get(path).headers.get_list("cache-control") == ["no-cache"]


def test_different_questions_have_different_answers(
    rig: Rig, client: httpx.Client, path: str
) -> None:
    rig.catalog_says(lambda arrival: Answer(body=arrival.target.encode()))
    questions = [path, path + "?", path + "?q=1", path + "?q=2", path + "%3Fq=1", path + "%20?q=1"]
    for _ in range(2):
        for question in questions:
            assert client.get(question).text == question.removesuffix("?") or question[-1] == "?"
    assert {arrival.target for arrival in rig.catalog_arrivals()} >= set(questions) - {path + "?"}


@pytest.mark.parametrize(
    "personal", [{"Authorization": "Bearer t"}, {"X-Consistency-Token": "catalog:0/1"}]
)
def test_a_personal_read_goes_past_the_cache_and_is_not_stored(
    rig: Rig, client: httpx.Client, path: str, personal: dict[str, str]
) -> None:
    rig.catalog_says(numbered())
    own = client.get(path, headers=personal)
    assert (own.text, own.headers["x-cache-status"]) == ("1", "BYPASS")
    assert own.headers.get_list("cache-control") == ["no-store"]
    public = client.get(path)
    assert (public.text, public.headers["x-cache-status"]) == ("2", "MISS")
    assert client.get(path, headers=personal).text == "3"
    assert client.get(path).text == "2"


@pytest.mark.parametrize("said", ["no-store", "private, max-age=60", "Max-Age=1, No-Store"])
def test_what_the_catalog_keeps_private_is_not_stored(
    rig: Rig, client: httpx.Client, path: str, said: str
) -> None:
    rig.catalog_says(lambda _: Answer(headers={"Cache-Control": said}))
    answers = [client.get(path) for _ in range(2)]
    assert [r.headers["x-cache-status"] for r in answers] == ["MISS", "MISS"]
    assert answers[0].headers.get_list("cache-control") == [said]
    assert rig.catalog.count("GET") + rig.catalog_twin.count("GET") == 2


def test_an_unchanged_product_is_304_from_the_cache_and_from_the_catalog(
    rig: Rig, client: httpx.Client, path: str
) -> None:
    rig.catalog_says(lambda _: Answer(headers={"ETag": '"3.7"'}))
    assert client.get(path).status_code == 200
    for tag in ('"3.7"', 'W/"3.7"', '"1.1", "3.7"'):
        unchanged = client.get(path, headers={"If-None-Match": tag})
        assert (unchanged.status_code, unchanged.content) == (304, b"")
        assert unchanged.headers["etag"] == '"3.7"'
        assert unchanged.headers["x-cache-status"] == "HIT"
        own = client.get(path, headers={"If-None-Match": tag, "Authorization": "Bearer t"})
        assert (own.status_code, own.content) == (304, b"")
    assert client.get(path, headers={"If-None-Match": '"3.8"'}).status_code == 200


def test_a_tag_that_compression_made_weak_still_matches_an_edit(
    rig: Rig, client: httpx.Client, path: str
) -> None:
    rig.catalog_says(lambda _: Answer(body=b"a" * 4000, headers={"ETag": '"3.7"'}))
    tag = client.get(path).headers["etag"]
    assert tag == 'W/"3.7"'
    rig.reset()
    client.patch(path, headers={"If-Match": tag}, json={})
    client.patch(path, headers={"If-Match": '"4.1"'}, json={})
    assert {a.headers["If-Match"] for a in rig.catalog_arrivals()} == {'"3.7"', '"4.1"'}


def test_a_consistency_token_is_given_to_its_owner_only(
    rig: Rig, client: httpx.Client, path: str
) -> None:
    token = {"X-Consistency-Token": "catalog:0/5"}
    rig.catalog_says(lambda _: Answer(headers=token))
    rig.orders.respond = lambda _: Answer(headers=token)
    public = [client.get(path) for _ in range(2)]
    own = client.get(path, headers={"Authorization": "Bearer t"})
    written = [client.post(path, json={}), client.put(path, json={}), client.post("/api/orders")]
    assert [r.headers.get("x-consistency-token") for r in public] == [None, None]
    answers = [r.headers.get_list("x-consistency-token") for r in (own, *written)]
    assert answers == [["catalog:0/5"]] * 4


def test_a_crowd_that_asks_for_a_cold_product_asks_the_catalog_once(rig: Rig, path: str) -> None:
    rig.catalog_says(lambda _: Answer(delay=0.2))
    with httpx.Client(base_url=rig.url) as client, ThreadPoolExecutor(20) as crowd:
        answers = list(crowd.map(lambda _: client.get(path), range(20)))
    assert {r.status_code for r in answers} == {200}
    assert len(rig.catalog_arrivals()) == 1


def test_while_one_asks_anew_the_others_take_what_is_there(
    rig: Rig, client: httpx.Client, path: str
) -> None:
    asked, go_on = threading.Event(), threading.Event()

    def renew(_: Arrival) -> Answer:
        asked.set()
        go_on.wait(5)
        return Answer(body=b"new")

    client.get(path)
    rig.catalog_says(renew)
    with ThreadPoolExecutor(1) as asker, httpx.Client(base_url=rig.url) as other:
        slow = asker.submit(until, "EXPIRED", lambda: client.get(path))
        assert asked.wait(5)
        response = other.get(path)
        go_on.set()
        assert response.headers["x-cache-status"] == "UPDATING"
        assert (response.json(), slow.result().text) == ({"from": "service"}, "new")


def test_a_catalog_in_trouble_is_covered_by_what_was_cached(rig: Rig, client: httpx.Client) -> None:
    troubles = {
        f"/api/products/{next(_ids)}": trouble
        for trouble in (Answer(503, b"{}"), Answer(500, b"{}"), HangUp())
    }
    for path in troubles:
        client.get(path)
    rig.catalog_says(lambda arrival: troubles[arrival.target])
    for path in troubles:
        stale = until("STALE", partial(client.get, path))
        assert (stale.status_code, stale.json()) == (200, {"from": "service"})


def test_pictures_are_kept_longer_and_cannot_act(rig: Rig, client: httpx.Client) -> None:
    picture = Answer(body=b"<svg/>", content_type="image/svg+xml")
    rig.catalog_says(lambda _: picture)
    client.get("/images/BOLO-01.svg")
    rig.catalog_says(lambda _: HangUp())
    response = client.get("/images/BOLO-01.svg")
    assert (response.text, response.headers["x-cache-status"]) == ("<svg/>", "HIT")
    assert response.headers.get_list("content-security-policy") == [
        "default-src 'none'; style-src 'unsafe-inline'; sandbox; frame-ancestors 'none'"
    ]


@pytest.mark.parametrize("said", [None, "private, max-age=5"])
@pytest.mark.parametrize("path", ["/api/carts/abc", "/api/orders/01J", "/auth/me"])
def test_private_answers_are_not_to_be_stored_unless_the_service_says_otherwise(
    rig: Rig, client: httpx.Client, path: str, said: str | None
) -> None:
    headers = {} if said is None else {"Cache-Control": said}
    rig.cart.respond = rig.orders.respond = lambda _: Answer(headers=headers)
    for _ in range(2):
        assert client.get(path).headers.get_list("cache-control") == [said or "no-store"]
    assert len(rig.cart.arrivals + rig.orders.arrivals) == 2
