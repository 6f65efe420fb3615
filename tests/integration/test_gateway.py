"""The gateway's front: which paths lead where, what is passed on, what every answer carries."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import httpx
import pytest

from tests.gateway_rig import Rig, running_gateway
from tests.stand_in import Answer

API_POLICY = "default-src 'none'; frame-ancestors 'none'"


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


def problem(response: httpx.Response, status: int, slug: str, title: str, detail: str) -> None:
    """The answer is exactly this problem document, with the answer's own request id."""
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json() == {
        "type": f"/problems/{slug}",
        "title": title,
        "status": status,
        "detail": detail,
        "instance": response.headers["x-request-id"],
    }


@pytest.mark.parametrize(
    ("service", "path"),
    [
        ("catalog", "/api/products?q=bolo%20de%20rolo&limit=5"),
        ("catalog", "/api/products/7/stock?quantity=2"),
        ("catalog", "/api/categories"),
        ("catalog", "/api/produtos/7/estoque?quantidade=2"),
        ("catalog", "/images/BOLO-01.svg"),
        ("cart", "/api/carts/abc/items/7"),
        ("cart", "/api/carrinho/abc"),
        ("orders", "/api/orders/01J/timeline"),
        ("orders", "/api/orders/01J/events"),
        ("orders", "/api/users/3"),
        ("orders", "/auth/me"),
        ("orders", "/auth/login"),
        ("orders", "/auth/refresh"),
        ("orders", "/.well-known/jwks.json"),
    ],
)
def test_a_public_path_reaches_its_service_unchanged(
    rig: Rig, client: httpx.Client, service: str, path: str
) -> None:
    assert client.get(path).json() == {"from": "service"}
    arrived = {
        "catalog": [a.target for a in rig.catalog_arrivals()],
        "cart": [a.target for a in rig.cart.arrivals],
        "orders": [a.target for a in rig.orders.arrivals],
    }
    assert arrived == {"catalog": [], "cart": [], "orders": []} | {service: [path]}


@pytest.mark.parametrize(
    "path",
    [
        "/api/reservations",
        "/api/reservations/01J/commit",
        "//api//reservations",
        "/api/%72eservations",
        "/api%2freservations",
        "/api/products/../reservations",
        "/api/products/..%2freservations",
        "/api/products/%2e%2e/reservations",
        "/api/products/;/../../reservations",
        "/api/./reservations",
        "/API/products",
        "/api/Reservations",
        "/api/products;x",
        "/api/productsx",
        "/internal/products?ids=1",
        "/api/products/../../internal/products",
        "/internal/orders/01J",
        "/metrics",
        "/api/products/../../metrics",
        "/ready",
        "/replica/event",
        "/status/catalog",
        "/problem",
        "/once/api/products/1",
        "/openapi/relay.json",
        "/openapi/../metrics",
        "/docs/../nginx.conf.template",
        "/docs../nginx.conf.template",
        "/docs/swagger/../../nginx.conf.template",
    ],
)
def test_what_is_not_public_is_not_found_whatever_its_spelling(rig: Rig, path: str) -> None:
    for url in (path, f"http://127.0.0.1{path}"):
        answer = rig.raw(f"GET {url} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
        head, _, body = answer.partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 404 ")
        assert b"Content-Type: application/problem+json" in head
        assert json.loads(body)["status"] == 404
    assert rig.catalog_arrivals() + rig.cart.arrivals + rig.orders.arrivals == []


@pytest.mark.parametrize(
    ("sent", "arrives"),
    [
        ("/api//products/x/../7", "/api/products/7"),
        ("/%61pi/products/8", "/api/products/8"),
        ("/api/products%2F9", "/api/products/9"),
        ("/api/products/%252e%252e/reservations", "/api/products/%252e%252e/reservations"),
        ("/api/products/%3Fq=1", "/api/products/%3Fq=1"),
        ("/api/products/a%20b%0d%0ac", "/api/products/a%20b%0D%0Ac"),
        ("/api/products/p%C3%A3o?q=p%C3%A3o", "/api/products/p%C3%A3o?q=p%C3%A3o"),
    ],
)
def test_a_service_sees_the_path_that_was_matched_not_the_raw_one(
    rig: Rig, sent: str, arrives: str
) -> None:
    rig.raw(f"GET {sent} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert [arrival.target for arrival in rig.catalog_arrivals()] == [arrives]


def test_a_client_cannot_speak_as_a_proxy_a_service_or_a_branch(
    rig: Rig, client: httpx.Client
) -> None:
    names = (
        *(
            "X-Service-Token",
            "X-Replica-Token",
            "X-Request-Timeout-Ms",
            "X-Forwarded-For",
            "X-Forwarded-Proto",
        ),
        *("X-Forwarded-Host", "X-Forwarded-Port", "X-Forwarded-Prefix", "X-Real-IP"),
        *("Forwarded", "Proxy", "SCRIPT_NAME", "PATH_INFO", "X_Service_Token"),
    )
    forged = dict.fromkeys(names, "forged")
    client.get("/auth/me", headers=forged | {"Authorization": "Bearer t", "Host": "shop.test:81"})
    headers = {name.lower(): value for name, value in rig.orders.arrivals[0].headers.items()}
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert headers["host"] == "shop.test"
    assert headers["authorization"] == "Bearer t"
    assert [name for name, value in headers.items() if "forged" in value] == []


def test_two_requests_in_one_are_refused(rig: Rig) -> None:
    smuggled = (
        b"POST /api/carts HTTP/1.1\r\nHost: x\r\nContent-Length: 6\r\n"
        b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\nG"
    )
    assert rig.raw(smuggled).startswith(b"HTTP/1.1 400 ")
    assert rig.cart.arrivals == []


@pytest.mark.parametrize("path", ["/api/carts/abc", "/api/products/71", "/nothing", "/"])
@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("01J8Z3.client-id_1", True),
        ("a" * 64, True),
        ("a" * 7, False),
        ("a" * 65, False),
        ('"quoted"!', False),
    ],
)
def test_a_safe_request_id_is_kept_and_every_answer_has_exactly_one(
    rig: Rig, client: httpx.Client, path: str, sent: str, kept: bool
) -> None:
    for service in (*rig.catalogs, rig.cart):
        service.respond = lambda _: Answer(headers={"X-Request-Id": "from-service"})
    response = client.get(path, headers={"X-Request-Id": sent, "Authorization": "Bearer t"})
    (answered,) = response.headers.get_list("x-request-id")
    assert answered == sent if kept else re.fullmatch("[0-9a-f]{32}", answered)
    for arrival in rig.catalog_arrivals() + rig.cart.arrivals:
        assert arrival.headers["X-Request-Id"] == answered


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("path", ["/api/carts/abc", "/api/products/72", "/nothing", "/health"])
def test_every_answer_of_the_api_carries_the_security_headers_once(
    rig: Rig, path: str, scheme: str
) -> None:
    doubled = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "default-src *"}
    for service in (*rig.catalogs, rig.cart):
        service.respond = lambda _: Answer(headers=doubled)
    base_url = rig.url if scheme == "http" else rig.tls_url
    with httpx.Client(base_url=base_url, verify=rig.trust) as client:
        headers = client.get(path).headers
    assert headers.get_list("x-content-type-options") == ["nosniff"]
    assert headers.get_list("content-security-policy") == [API_POLICY]
    assert headers.get_list("referrer-policy") == ["no-referrer"]
    assert "camera=()" in headers["permissions-policy"]
    assert headers["server"] == "nginx"
    secure = ["max-age=31536000"] if scheme == "https" else []
    assert headers.get_list("strict-transport-security") == secure


def test_tls_is_1_2_or_later_with_http_2_offered(rig: Rig) -> None:
    assert rig.handshake() == ("TLSv1.3", "h2")
    assert rig.handshake("TLSv1_2") == ("TLSv1.2", "h2")
    with pytest.raises(OSError):
        rig.handshake("TLSv1_1")


def test_plain_http_on_the_tls_port_is_a_problem(rig: Rig) -> None:
    response = httpx.get(f"http://127.0.0.1:{rig.https_port}/api/products")
    problem(response, 400, "bad-request", "Bad request", "This port speaks HTTPS.")


@pytest.mark.parametrize(
    ("request_line", "status"),
    [
        ("TRACE / HTTP/1.1", 405),
        ("CONNECT x:443 HTTP/1.1", 405),
        ("GE /api/carts HTTP/1.1", 405),
        ("PROPFIND /api/carts HTTP/1.1", 405),
        ("GET /\x01 HTTP/1.1", 400),
        ("GET /%00 HTTP/1.1", 400),
        ("GET /docs/../../nginx.conf.template HTTP/1.1", 400),
        ("GET / HTTP/3.0", 505),
        ("POST / HTTP/1.1", 405),
        ("GET /" + "a" * 4096 + " HTTP/1.1", 414),
        ("GET /api/carts/" + "|" * 1024 + " HTTP/1.1", 414),
    ],
)
def test_a_bad_request_is_a_problem(rig: Rig, request_line: str, status: int) -> None:
    request = f"{request_line}\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    head, _, body = rig.raw(request.encode("latin-1")).partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"Content-Type: application/problem+json" in head
    assert json.loads(body)["status"] == status


@pytest.mark.parametrize(
    "headers", [{"X-Large": "a" * 4096}, {f"X-{number}": "a" for number in range(81)}]
)
def test_headers_too_large_or_too_many_are_a_problem(
    client: httpx.Client, headers: dict[str, str]
) -> None:
    problem(
        client.get("/auth/me", headers=headers),
        431,
        "header-fields-too-large",
        "Header fields too large",
        "The header fields are too many or too large.",
    )


@pytest.mark.parametrize("status", [400, 404, 409, 429, 500, 503])
def test_a_problem_of_a_service_passes_untouched(
    rig: Rig, client: httpx.Client, status: int
) -> None:
    body = b'{"type":"/problems/insufficient-stock","lines":[1]}'
    retry = {"Retry-After": "9"}
    rig.orders.respond = lambda _: Answer(status, body, retry, "application/problem+json")
    response = client.post("/api/orders", json={})
    assert (response.status_code, response.content) == (status, body)
    assert response.headers.get_list("retry-after") == ["9"]
    assert response.headers["content-type"] == "application/problem+json"


def test_a_redirect_stays_on_the_clients_host(rig: Rig, client: httpx.Client) -> None:
    rig.orders.respond = lambda _: Answer(308, b"", {"Location": "http://evil.test/api/orders"})
    response = client.get("/api/orders/", headers={"Host": "evil.test"})
    assert response.headers["location"] == "/api/orders"


def test_the_log_has_no_query_no_token_and_no_cart_id(rig: Rig, client: httpx.Client) -> None:
    cases = {
        "/api/carts/SECRET/items/7?token=SECRET": "/api/carts/*/items/7",
        "/api/carrinho/SECRET/adicionar": "/api/carrinho/*/adicionar",
        "/api/carrinho/sessao": "/api/carrinho/sessao",
        "/api/%63arts/SECRET": "/api/%*",
        "/api/orders/01J?email=SECRET": "/api/orders/01J",
    }
    for number, path in enumerate(cases):
        headers = {"X-Request-Id": f"log-test-{number}", "Authorization": "Bearer SECRET"}
        client.get(path, headers=headers)
    for number, logged in enumerate(cases.values()):
        entry = rig.log_entry(f"log-test-{number}")
        assert (entry["path"], entry["status"], entry["upstream_status"]) == (logged, 200, "200")
        assert entry["upstream"].startswith("127.0.0.1:")
    assert "SECRET" not in (rig.folder / "access.log").read_text()
