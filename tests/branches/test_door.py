"""Who may knock at the door for other branches, and what is taken there."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from typing import Any

import pytest

from catalog.settings import Settings
from chassis.ids import new_id
from tests.branches.rig import Country, House, country, token_of
from tests.figures import figure
from tests.postgres_server import PostgresServer

OURS = token_of("matriz", "filial")


@pytest.fixture(scope="module")
def quiet(postgres: PostgresServer) -> Iterator[Country]:
    """Three branches whose relays do nothing."""
    with country(postgres, "matriz", "filial", "litoral", deliver=False) as found:
        yield found


@pytest.fixture
def matriz(quiet: Country) -> House:
    return quiet.houses["matriz"]


def event(kind: str, data: dict[str, Any], branch: str = "filial", **more: Any) -> dict[str, Any]:
    return {
        "specversion": "1.0",
        "id": new_id(),
        "source": f"/{branch}/catalog",
        "type": kind,
        "subject": str(data.get("sku", "x")),
        "time": "2026-11-21T12:00:00.000Z",
        "datacontenttype": "application/json",
        "lamport": 7,
        "data": data,
        **more,
    }


def product(sku: str, **fields: Any) -> dict[str, Any]:
    return {
        "id": 4711,
        "sku": sku,
        "name": sku.title(),
        "description": "",
        "category": {"id": 9, "slug": "bolos", "name": "Bolos"},
        "price_cents": 1000,
        "currency": "BRL",
        "image_url": f"/images/{sku}.svg",
        "active": True,
        "version": 1,
        **fields,
    }


def stock(sku: str, available: int, version: int, branch: str = "filial") -> dict[str, Any]:
    return {
        "sku": sku,
        "branch": branch,
        "product_id": 4711,
        "available": available,
        "version": version,
        "product": product(sku),
    }


def post(house: House, body: Any, **headers: str) -> Any:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    with house.app.test_client() as client:
        return client.post("/replica/event", json=body, headers=names)


@pytest.mark.promise(44)
def test_a_forged_event_is_refused_and_has_no_effect(matriz: House) -> None:
    jwt = ".".join(
        base64.urlsafe_b64encode(json.dumps(part).encode()).decode()
        for part in ({"alg": "none"}, {"role": "admin"}, {})
    )
    forged = event("stock_update", stock("FORJADO", 999, 99))
    tries: dict[str, tuple[dict[str, str], Any]] = {
        "no token": ({}, forged),
        "empty token": ({"X_Replica_Token": ""}, forged),
        "a user's JWT": ({"Authorization": f"Bearer {jwt}"}, forged),
        "a JWT for a token": ({"X_Replica_Token": jwt}, forged),
        "the services' token": (
            {"X_Replica_Token": "a-service-token-for-these-tests-only"},
            forged,
        ),
        "half of the token": ({"X_Replica_Token": OURS[:-1]}, forged),
        "the token of two others": ({"X_Replica_Token": token_of("filial", "litoral")}, forged),
        "another branch's token": ({"X_Replica_Token": token_of("matriz", "litoral")}, forged),
        "for this branch itself": (
            {"X_Replica_Token": OURS},
            event("stock_update", stock("FORJADO", 999, 99, "matriz"), branch="matriz"),
        ),
        "hidden in a list": (
            {"X_Replica_Token": OURS},
            [
                event("stock_update", stock("FORJADO", 999, 99)),
                event("stock_update", stock("FORJADO", 999, 99, "litoral"), branch="litoral"),
            ],
        ),
    }
    statuses = {
        how: post(matriz, body, **headers).status_code for how, (headers, body) in tries.items()
    }

    assert set(statuses.values()) <= {401, 403}, statuses
    assert matriz.stock("FORJADO", "filial") is None and matriz.stock("FORJADO") is None
    figure("promise 44", f"{len(tries)} kinds of forged events: {sorted(statuses.values())}")


def test_whoever_is_refused_is_written_down(matriz: House, monkeypatch: pytest.MonkeyPatch) -> None:
    lines: list[tuple[str, dict[str, Any]]] = []

    class Log:
        def warning(self, event: str, **said: Any) -> None:
            lines.append((event, said))

    for module in ("chassis.auth", "chassis.replication.door"):
        monkeypatch.setattr(f"{module}.log", Log())
    post(matriz, [], X_Replica_Token="guessed-by-somebody")
    post(
        matriz, event("stock_update", stock("X", 1, 1, "litoral"), "litoral"), X_Replica_Token=OURS
    )
    assert [line for line, _ in lines] == ["replica_refused", "replica_refused"]
    assert lines[0][1] == {"address": "127.0.0.1", "token": "wrong", "bearer": False}
    assert lines[1][1] == {"peer": "filial", "source": "/litoral/catalog"}
    assert "guessed-by-somebody" not in str(lines)


def test_a_branch_cannot_speak_of_the_stock_of_another(matriz: House) -> None:
    said = event("stock_update", stock("ALHEIO", 5, 1, "litoral"))
    answer = post(matriz, said, X_Replica_Token=OURS).json["results"][0]
    assert answer["outcome"] == "refused" and "litoral" in answer["detail"]
    assert matriz.stock("ALHEIO", "litoral") is None


@pytest.mark.promise(44)
@pytest.mark.promise(42)
def test_a_repeated_or_older_event_changes_nothing(matriz: House) -> None:
    said = event("stock_update", stock("REPETIDO", 5, 4))
    for _ in range(100):
        assert post(matriz, said, X_Replica_Token=OURS).status_code == 200
    post(matriz, event("stock_update", stock("REPETIDO", 9, 3)), X_Replica_Token=OURS)
    assert matriz.stock("REPETIDO", "filial") == 5
    assert matriz.rows("SELECT count(*) FROM products WHERE sku = 'REPETIDO'") == [(1,)]
    # What makes products is told to the bus of this branch, once.
    told = "SELECT count(*) FROM outbox WHERE subject = 'REPETIDO' AND type = 'product.updated'"
    assert matriz.rows(told) == [(1,)]
    figure("promise 44", "an event sent 100 times had its effect once")


def test_one_event_that_cannot_be_taken_does_not_stop_the_others(matriz: House) -> None:
    body = [
        event("stock_update", stock("BOM-1", 5, 1)),
        event("stock_update", stock("RUIM", -5, 1)),
        event("product.updated", product("RUIM", price_cents=-1)),
        {"id": "nonsense"},
        "nonsense",
        event("branch.unheard_of", {}),
        event("stock_update", stock("BOM-2", 6, 1)),
    ]
    answer = post(matriz, body, X_Replica_Token=OURS)
    assert answer.status_code == 200
    outcomes = sorted(result["outcome"] for result in answer.json["results"])
    assert outcomes == ["applied", "applied", "ignored", *["refused"] * 4]
    assert (matriz.stock("BOM-1", "filial"), matriz.stock("BOM-2", "filial")) == (5, 6)


def test_too_much_at_once_is_refused(matriz: House) -> None:
    many = [event("branch.seen", {}) for _ in range(501)]
    assert post(matriz, many, X_Replica_Token=OURS).status_code == 422
    large = event("branch.seen", {"text": "x" * 1024 * 1024})
    assert post(matriz, large, X_Replica_Token=OURS).status_code == 413


def test_what_a_branch_said_in_an_epoch_that_is_over_is_refused(matriz: House) -> None:
    now = event("stock_update", stock("EPOCA", 5, 9), epoch=1)
    assert post(matriz, now, X_Replica_Token=OURS).status_code == 200
    # Set back and gone on: a lower version, but of a later epoch.
    later = event("stock_update", stock("EPOCA", 3, 2), epoch=2)
    assert post(matriz, later, X_Replica_Token=OURS).status_code == 200
    assert matriz.stock("EPOCA", "filial") == 3
    late = post(matriz, event("stock_update", stock("EPOCA", 7, 99), epoch=1), X_Replica_Token=OURS)
    assert (late.status_code, late.json["known"]["epoch"]) == (409, 2)
    assert matriz.stock("EPOCA", "filial") == 3


def test_a_shop_without_peers_has_no_door(postgres: PostgresServer) -> None:
    with country(postgres, "sozinha", deliver=False) as alone:
        answer = post(alone.houses["sozinha"], event("branch.seen", {}), X_Replica_Token=OURS)
        assert answer.status_code == 404


GOOD = {
    "node_name": "matriz",
    "service_token": "t" * 32,
    "event_bus_url": "redis://127.0.0.1:1/0",
    "catalog_database_url": "postgresql://127.0.0.1:1/catalog",
    "orders_url": "http://127.0.0.1:1",
}


@pytest.mark.parametrize(
    ("peers", "tokens", "named"),
    [
        ("filial=http://h:1", "", "REPLICA_TOKENS: is required for filial"),
        ("filial=http://h:1", "filial=short", "REPLICA_TOKENS: of filial is weak"),
        ("filial=http://h:1", f"filial={'a' * 40}", "REPLICA_TOKENS: of filial is weak"),
        ("filial=http://h:1,b=http://h:2", f"filial={OURS},b={OURS}", "one token for two peers"),
        ("matriz=http://h:1", f"matriz={OURS}", "PEERS: names this branch itself"),
        ("filial=ftp://h:1", f"filial={OURS}", "PEERS: must be name=https://"),
    ],
)
def test_a_start_that_would_be_unsafe_is_refused(
    monkeypatch: pytest.MonkeyPatch, peers: str, tokens: str, named: str
) -> None:
    for name, value in (GOOD | {"peers": peers, "replica_tokens": tokens}).items():
        monkeypatch.setenv(name.upper(), value)
    with pytest.raises(SystemExit) as refused:
        Settings.load()
    assert named in str(refused.value) and OURS not in str(refused.value)


def test_the_only_peer_needs_no_list_of_tokens(monkeypatch: pytest.MonkeyPatch) -> None:
    values = GOOD | {"peers": "filial=http://h:1", "replica_token": OURS}
    for name, value in values.items():
        monkeypatch.setenv(name.upper(), value)
    assert [peer.token for peer in Settings.load().branches] == [OURS]
