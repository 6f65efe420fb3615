"""The gateway and the door for other branches."""

from __future__ import annotations

import json

import httpx

from tests.gateway_rig import ROOT, running_gateway

FRAGMENTS = ROOT / "nginx" / "fragments"
TOKEN = "a-secret-of-two-branches-that-is-never-logged"
HEADERS = {"X-Replica-Token": TOKEN, "X-Request-Id": "replica-request-1"}


def test_a_shop_with_peers_passes_the_token_on_at_its_door_only() -> None:
    with running_gateway(REPLICA_DOOR=f"include {FRAGMENTS}/replica.conf;") as rig:
        with httpx.Client(base_url=rig.url, trust_env=False) as client:
            answer = client.post("/replica/event", json=[], headers=HEADERS)
            client.get("/api/products", headers=HEADERS | {"X-Request-Id": "replica-request-2"})
            assert client.get("/replica/state", headers=HEADERS).status_code == 404
        assert answer.status_code == 200
        assert answer.headers["cache-control"] == "no-store"
        door, products = rig.catalog_arrivals()
        if door.method != "POST":
            door, products = products, door
        assert (door.target, door.headers["X-Replica-Token"]) == ("/replica/event", TOKEN)
        assert "X-Replica-Token" not in products.headers
        logged = rig.log_entry("replica-request-1")
        assert logged["path"] == "/replica/event"
        assert TOKEN not in json.dumps(logged)
        assert TOKEN not in (rig.folder / "access.log").read_text()


def test_a_shop_without_peers_has_no_door() -> None:
    with running_gateway() as rig:
        with httpx.Client(base_url=rig.url, trust_env=False) as client:
            assert client.post("/replica/event", json=[], headers=HEADERS).status_code == 404
            path = "/api/customers/ana@example.com/lost-edits"
            client.get(path, headers={"X-Request-Id": "customer-request-1"})
        assert rig.catalog_arrivals() == []
        assert rig.log_entry("customer-request-1")["path"] == "/api/customers/*/lost-edits"
