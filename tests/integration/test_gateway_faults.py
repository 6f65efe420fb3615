"""What the gateway does when a service dies or dawdles (promise 37), or a client does."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count

import httpx
import pytest

from tests.gateway_rig import Rig, running_gateway
from tests.stand_in import Answer, Arrival, HangUp

_ids = count(1)
ROUNDS = 25


@pytest.fixture
def rig() -> Iterator[Rig]:
    with running_gateway() as rig:
        yield rig


@pytest.fixture
def client(rig: Rig) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=rig.url) as client:
        yield client


def product() -> str:
    return f"/api/products/{next(_ids)}"


def unavailable(response: httpx.Response) -> None:
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers.get_list("retry-after") == ["2"]
    assert response.json() == {
        "type": "/problems/unavailable",
        "title": "Temporarily unavailable",
        "status": 503,
        "detail": "The service cannot be reached at the moment. Try again shortly.",
        "instance": response.headers["x-request-id"],
    }


def test_reads_do_not_notice_the_death_of_one_instance(rig: Rig, client: httpx.Client) -> None:
    for _ in range(4):
        client.get(product())
    rig.catalog.stop()
    assert {client.get(product()).status_code for _ in range(40)} == {200}


def test_a_write_goes_to_the_living_instance_when_none_was_sent(
    rig: Rig, client: httpx.Client
) -> None:
    rig.catalog.stop()
    assert {client.post("/api/products", json={}).status_code for _ in range(10)} == {200}
    assert rig.catalog_twin.count("POST") == 10


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_a_read_whose_instance_dies_under_it_is_asked_of_the_other(
    rig: Rig, client: httpx.Client, method: str
) -> None:
    dying = threading.Semaphore(1)

    def die_once(_: Arrival) -> Answer | HangUp:
        return HangUp() if dying.acquire(blocking=False) else Answer()

    rig.catalog_says(die_once)
    assert client.request(method, product()).status_code == 200
    assert len(rig.catalog_arrivals()) == 2


def test_a_frozen_instance_holds_up_few_and_fails_none(rig: Rig, client: httpx.Client) -> None:
    rig.catalog.respond = lambda _: Answer(delay=3)
    with ThreadPoolExecutor(8) as crowd:
        statuses = list(crowd.map(lambda _: client.get(product()).status_code, range(80)))
    assert statuses == [200] * 80
    # It gets no second request while the first is open, for the other has fewer connections.
    assert len(rig.catalog.arrivals) <= 8


def test_two_instances_failing_in_turn_do_not_close_the_catalog(
    rig: Rig, client: httpx.Client
) -> None:
    for failing, living in (rig.catalogs, rig.catalogs[::-1]) * 2:
        living.respond = lambda _: Answer()
        failing.respond = lambda _: HangUp()
        assert [client.get(product()).status_code for _ in range(8)] == [200] * 8


@pytest.mark.promise(37)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/orders"),
        ("POST", "/auth/register"),
        ("POST", "/api/carts/abc/items"),
        ("POST", "/api/products"),
        ("PATCH", "/api/products/1"),
        ("PUT", "/api/produtos/1/estoque"),
    ],
)
def test_a_write_is_never_sent_twice(method: str, path: str) -> None:
    with (
        # max_fails=0: no instance is counted out, so that every round meets the failure
        running_gateway("max_fails=0", ACCOUNT_BURST="1000") as rig,
        httpx.Client(base_url=rig.url) as client,
    ):
        services = (*rig.catalogs, rig.cart, rig.orders)
        for number in range(1, ROUNDS + 1):
            # Given a connection to the service that is already open, the harder case
            for service in services:
                service.respond = lambda _: Answer()
            client.get(path.rsplit("/", 1)[0] + f"/{number}")
            # When the service is killed with the write in its hands
            for service in services:
                service.respond = lambda _: HangUp()
            answer = client.request(method, path, json={"n": number})
            # Then it has arrived once, and the client is told
            unavailable(answer)
            assert sum(service.count(method) for service in services) == number
        print(f"{method} {path}: {ROUNDS} sent, {ROUNDS} arrived")  # noqa: T201


def test_a_dead_service_is_503_and_a_slow_one_504(rig: Rig, client: httpx.Client) -> None:
    rig.cart.stop()
    unavailable(client.get("/api/carts/abc"))
    rig.orders.respond = lambda _: Answer(delay=4)
    response = client.post("/api/orders", json={})
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers.get_list("retry-after") == ["5"]
    assert response.json() == {
        "type": "/problems/gateway-timeout",
        "title": "No answer in time",
        "status": 504,
        "detail": "The service did not answer in time. What was asked may have been done.",
        "instance": response.headers["x-request-id"],
    }
    assert rig.orders.count("POST") == 1


def test_a_service_that_comes_back_is_used_at_once(rig: Rig, client: httpx.Client) -> None:
    rig.orders.respond = lambda _: HangUp()
    for _ in range(5):
        unavailable(client.post("/api/orders"))
    rig.orders.respond = lambda _: Answer()
    assert client.post("/api/orders").status_code == 200


def test_events_flow_as_they_happen_and_outlast_the_read_timeout() -> None:
    go_on = threading.Event()

    def events() -> Iterator[bytes]:
        yield b"data: 1\n\n"
        assert go_on.wait(10)
        yield b"data: 2\n\n"

    with (
        running_gateway(ORDERS_TIMEOUT_SECONDS="1") as rig,
        httpx.Client(base_url=rig.url, timeout=10) as client,
    ):
        rig.orders.respond = lambda _: Answer(content_type="text/event-stream", stream=events)
        threading.Timer(1.5, go_on.set).start()
        with client.stream("GET", "/api/orders/01J/events") as response:
            assert response.headers["content-type"] == "text/event-stream"
            assert response.headers["cache-control"] == "no-store"
            assert "content-encoding" not in response.headers
            pieces = response.iter_raw()
            assert (next(pieces), go_on.is_set()) == (b"data: 1\n\n", False)
            assert (next(pieces), go_on.is_set()) == (b"data: 2\n\n", True)


@pytest.mark.parametrize(
    "started",
    [
        b"GET /api/carts/abc HTTP/1.1\r\nHost: x\r\n",
        b"POST /api/carts HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{",
    ],
)
def test_a_client_that_dawdles_is_let_go_and_never_reaches_a_service(
    rig: Rig, started: bytes
) -> None:
    begin = time.monotonic()
    rig.raw(started, seconds=10)
    assert 0.9 <= time.monotonic() - begin < 4
    assert rig.cart.arrivals == []
