"""The load generator: whole answers, whole flows, and nothing that it does not notice."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtests.bench import client, flows
from loadtests.bench.flows import Answer
from loadtests.bench.pgbench import Result
from loadtests.bench.pgbench import parse as parse_pgbench

LENGTH = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nX-A: b\r\n\r\nhello"
CHUNKED = (
    b"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n"
)
CLOSING = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"
LATER = b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n"
ANSWERS = {
    LENGTH: Answer(200, b"hello", False),
    CHUNKED: Answer(201, b"hello", False),
    CLOSING: Answer(204, b"", True),
    LATER: Answer(429, b"", False, 7.0),
}


@pytest.mark.parametrize("data", ANSWERS)
def test_an_answer_is_whole_or_waited_for(data: bytes) -> None:
    assert client.parse(data) == ANSWERS[data]
    assert [client.parse(data[:end]) for end in range(len(data))] == [None] * len(data)


@pytest.mark.parametrize("data", [LENGTH + b"x", b"SSH-2.0-x\r\n\r\n"])
def test_what_is_no_answer_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"more than|not an answer"):
        client.parse(data)


@given(st.dictionaries(st.text(max_size=5), st.integers(), max_size=5))
def test_a_request_says_how_long_its_body_is(body: dict[str, int]) -> None:
    head, _, content = flows.request("POST", "/x", body).partition(b"\r\n\r\n")
    assert json.loads(content) == body
    assert f"Content-Length: {len(content)}".encode() in head.split(b"\r\n")


@contextmanager
def server(*answers: bytes) -> Iterator[int]:
    """Gives each request on a connection the next of the answers; None ends it. Its port."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        ended = threading.Event()

        def serve(connection: socket.socket) -> None:
            with connection:
                number = 0
                while connection.recv(65536):
                    connection.sendall(answers[number % len(answers)])
                    number += 1
                    if b"Connection: close" in answers[(number - 1) % len(answers)]:
                        return

        def accept() -> None:
            while not ended.is_set():
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=serve, args=(connection,), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield listener.getsockname()[1]
        finally:
            ended.set()
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(5)


def job(port: int, **changes: object) -> dict[str, object]:
    data = {"paths": ["/a", "/b"], "least_bytes": 5}
    base = {"flow": "read", "host": "127.0.0.1", "port": port, "clients": 3, "seconds": 0.2}
    return base | {"data": data} | changes


def test_a_load_counts_flows_and_their_times() -> None:
    with server(LENGTH) as port:
        load = client.run(job(port))
    assert load["count"] >= 3
    assert load["wrong"] == 0
    assert 0 < load["p50"] <= load["p99"] < 1000
    assert load["seconds"] >= 0.2
    # Both clocks are read one after the other, and the kernel counts in ticks.
    assert 0 < load["cpu_seconds"] < load["seconds"] + 0.1


def test_a_load_of_so_many_flows_ends_with_them() -> None:
    with server(LENGTH) as port:
        load = client.run(job(port, seconds=20, count=50))
        few = client.run(job(port, seconds=20, count=2))
    assert (load["count"], few["count"]) == (50, 2)
    assert load["seconds"] < 10
    assert load["percentiles"][100] >= load["percentiles"][50] == load["p50"]
    assert 0 < load["mean"] <= load["percentiles"][100]


def test_a_rate_is_kept_and_a_wait_for_a_connection_counts() -> None:
    with server(LENGTH) as port:
        steady = client.run(job(port, seconds=1, rate=50))
        # Due all at once, and one connection for them: each waits for those before it.
        crowded = client.run(job(port, clients=1, seconds=1e-3, rate=1e6))
    assert steady["count"] == 50 and steady["seconds"] >= 0.9
    assert crowded["count"] == 1000
    assert crowded["percentiles"][100] > 0.8 * crowded["seconds"] * 1000


def test_a_connection_that_the_server_ends_is_made_anew() -> None:
    closing = LENGTH.replace(b"X-A: b", b"Connection: close")
    with server(closing) as port:
        load = client.run(job(port))
    assert load["count"] >= 3
    assert load["wrong"] == 0


def test_wrong_answers_are_counted_and_the_first_is_kept() -> None:
    with server(LENGTH, LENGTH.replace(b"200", b"503")) as port:
        load = client.run(job(port))
    assert load["wrong"] == pytest.approx(load["count"], abs=3)
    assert load["first_wrong"] == ["503 instead of 200: hello"]


def test_a_short_body_is_a_wrong_answer() -> None:
    with server(LENGTH) as port:
        load = client.run(job(port, data={"paths": ["/a"], "least_bytes": 6}))
    assert (load["count"], load["p50"]) == (0, None)
    assert load["first_wrong"] == ["5 bytes instead of 6"]


def test_a_connection_cut_in_the_middle_of_an_answer_ends_the_load() -> None:
    half = b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 9\r\n\r\nhello"
    with server(half) as port, pytest.raises(ConnectionError, match="in the middle"):
        client.run(job(port))


def test_a_purchase_checks_what_was_bought() -> None:
    flow = next(flows.purchase({"tokens": ["t"], "products": [7]}, 0))
    assert next(flow).startswith(b"POST /api/carts HTTP/1.1\r\n")
    assert b"/api/carts/c1/items" in flow.send(Answer(201, b'{"id": "c1"}', False))
    checkout = flow.send(Answer(200, b"{}", False))
    assert b"Authorization: Bearer t\r\n" in checkout
    assert b"Idempotency-Key: c1\r\n" in checkout
    other = {"status": "confirmed", "items": [{"product_id": 8, "quantity": 1}]}
    with pytest.raises(flows.WrongAnswer, match="confirmed of"):
        flow.send(Answer(201, json.dumps(other).encode(), False))


def test_the_log_of_pgbench_is_read_as_purchases() -> None:
    lines = ["0 1 2000 0 100 500000", "1 1 1000 0 100 250000", "0 2 3000 0 101 500000 skipped"]
    found = parse_pgbench(lines)
    assert (found.count, found.p50, found.p99) == (3, 2.0, 3.0)
    assert found.seconds == pytest.approx(101.5 - 100.249)
    assert isinstance(found, Result)
    with pytest.raises(ValueError, match="no percentile"):
        parse_pgbench([])
