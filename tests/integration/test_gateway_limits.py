"""The gateway's limits (promises 35 and 38): rates, connections and sizes, per client address."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.gateway_rig import running_gateway
from tests.stand_in import Answer, Arrival

MIB = 1024 * 1024


def too_many(response: httpx.Response, what: str = "Too many requests from this address.") -> None:
    assert response.status_code == 429
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers.get_list("retry-after") == ["1"]
    assert response.json() == {
        "type": "/problems/too-many-requests",
        "title": "Too many requests",
        "status": 429,
        "detail": f"{what} Wait before trying again.",
        "instance": response.headers["x-request-id"],
    }


@pytest.mark.promise(38)
def test_ten_times_the_rate_is_refused_whatever_address_is_claimed() -> None:
    rate, burst, sent = 20, 20, 400
    with running_gateway(RATE_PER_SECOND=str(rate), RATE_BURST=str(burst)) as rig:
        with httpx.Client(base_url=rig.url) as client:
            started = time.monotonic()
            answers = [
                client.post("/api/carts", headers={"X-Forwarded-For": f"10.0.{n // 250}.{n % 250}"})
                for n in range(sent)
            ]
            seconds = time.monotonic() - started
        passed = [response for response in answers if response.status_code == 200]
        refused = [response for response in answers if response.status_code != 200]
        allowed = 1 + burst + rate * seconds
        print(f"{sent} in {seconds:.2f} s: {len(passed)} passed, {allowed:.0f} allowed")  # noqa: T201
        assert burst < len(passed) <= allowed + 1
        assert len(rig.cart.arrivals) == len(passed)
        assert refused
        for response in refused:
            too_many(response)


@pytest.mark.parametrize(
    ("path", "rate"),
    [
        ("/auth/login", "LOGIN"),
        ("/auth/register", "ACCOUNT"),
        ("/auth/refresh", "ACCOUNT"),
    ],
)
def test_logins_and_accounts_have_a_stricter_limit_of_their_own(path: str, rate: str) -> None:
    with (
        running_gateway(**{f"{rate}_RATE_PER_MINUTE": "6", f"{rate}_BURST": "4"}) as rig,
        httpx.Client(base_url=rig.url) as client,
    ):
        answers = [client.post(path, json={}) for _ in range(20)]
        assert [r.status_code for r in answers[:5]] == [200] * 5
        for response in answers[5:]:
            too_many(response)
        assert len(rig.orders.arrivals) == 5
        assert client.get("/auth/me").status_code == 200


def test_one_address_cannot_take_all_connections() -> None:
    go_on = threading.Event()

    def wait(_: Arrival) -> Answer:
        go_on.wait(10)
        return Answer()

    with running_gateway(CONNECTIONS_PER_ADDRESS="5", ORDERS_TIMEOUT_SECONDS="9") as rig:
        rig.orders.respond = wait
        with (
            httpx.Client(base_url=rig.url, timeout=10) as client,
            ThreadPoolExecutor(5) as crowd,
        ):
            held = [crowd.submit(client.post, "/api/orders") for _ in range(5)]
            deadline = time.monotonic() + 5
            while len(rig.orders.arrivals) < 5 and time.monotonic() < deadline:
                time.sleep(0.01)
            too_many(client.get("/api/orders"))
            go_on.set()
            assert [response.result().status_code for response in held] == [200] * 5
            assert client.get("/api/orders").status_code == 200


def test_more_checkouts_at_once_than_are_let_in_are_told_to_come_again() -> None:
    go_on = threading.Event()

    def wait(arrival: Arrival) -> Answer:
        if (arrival.method, arrival.target) == ("POST", "/api/orders"):
            go_on.wait(10)
        return Answer()

    with running_gateway(CHECKOUTS_AT_ONCE="3", ORDERS_TIMEOUT_SECONDS="9") as rig:
        rig.orders.respond = wait
        with (
            httpx.Client(base_url=rig.url, timeout=10) as client,
            ThreadPoolExecutor(3) as crowd,
        ):
            held = [crowd.submit(client.post, "/api/orders") for _ in range(3)]
            deadline = time.monotonic() + 5
            while len(rig.orders.arrivals) < 3 and time.monotonic() < deadline:
                time.sleep(0.01)
            began = time.monotonic()
            for path in ("/api/orders", "/api/orders/", "/api//orders"):
                response = client.post(path)
                too_many(response, "Too many checkouts at this moment; nothing was bought.")
            assert time.monotonic() - began < 2
            # Nobody else waits for them.
            assert client.get("/api/orders").status_code == 200
            assert client.post("/api/orders/1/cancel").status_code == 200
            assert client.post("/api/carts").status_code == 200
            go_on.set()
            assert [response.result().status_code for response in held] == [200] * 3
            assert client.post("/api/orders").status_code == 200


def chunks(size: int) -> Iterator[bytes]:
    for start in range(0, size, 65536):
        yield b"a" * min(65536, size - start)


@pytest.mark.promise(35)
@pytest.mark.parametrize("chunked", [False, True])
def test_a_body_of_one_mebibyte_passes_and_one_byte_more_does_not(chunked: bool) -> None:
    with running_gateway() as rig, httpx.Client(base_url=rig.url) as client:
        for size, status in ((MIB, 200), (MIB + 1, 413)):
            content = chunks(size) if chunked else b"a" * size
            response = client.post("/api/orders", content=content)
            assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert response.json()["detail"] == "The body is larger than 1 MiB."
        assert [len(arrival.body) for arrival in rig.orders.arrivals] == [MIB]
