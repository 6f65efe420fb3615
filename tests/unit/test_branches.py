"""How several branches on one machine are told of each other."""

from __future__ import annotations

import json
import re
from itertools import combinations
from pathlib import Path

import pytest
import yaml

from chassis.branches import read_tokens, read_urls
from local import branches, compose_branches
from local.settings import PORTS, REPOSITORY, read_settings


def test_every_pair_of_branches_has_a_token_of_its_own(tmp_path: Path) -> None:
    found = branches.stacks(read_settings(feira_home=tmp_path), 3)
    told = {
        stack.settings.node_name: (
            read_urls(stack.settings.peers),
            read_tokens(
                stack.settings.replica_tokens.get_secret_value(),
                "",
                list(read_urls(stack.settings.peers)),
            ),
        )
        for stack in found
    }
    assert list(told) == ["matriz", "filial", "litoral"]
    for one, other in combinations(told, 2):
        assert told[one][1][other] == told[other][1][one]
    assert len({token for _, tokens in told.values() for token in tokens.values()}) == 3
    for stack in found:
        name = stack.settings.node_name
        for other, (urls, _) in told.items():
            if other != name:
                assert urls[name] == f"http://127.0.0.1:{stack.settings.port}"
    assert (tmp_path / "branches" / "tokens.json").stat().st_mode & 0o077 == 0


def test_branches_share_no_port_and_the_demo_password(tmp_path: Path) -> None:
    found = branches.stacks(read_settings(feira_home=tmp_path), len(branches.NAMES))
    ports = [getattr(stack.settings, name) for stack in found for name in PORTS]
    assert len(ports) == len(set(ports))
    assert len({stack.secrets.demo_password for stack in found}) == 1
    assert len({stack.secrets.jwt_private_key for stack in found}) == len(found)
    again = branches.stacks(read_settings(feira_home=tmp_path), 2)
    assert (
        again[0].settings.replica_tokens.get_secret_value().split(",")[0]
        == (found[0].settings.replica_tokens.get_secret_value().split(",")[0])
    )


def test_containers_are_told_the_same_way() -> None:
    chosen = compose_branches.NAMES[:3]
    tokens = {
        "|".join(sorted(pair)): f"token-of-{'-and-'.join(pair)}-0123456789"
        for pair in combinations(chosen, 2)
    } | {name: f"of-{name}-itself" for name in chosen}
    told = {}
    for name in chosen:
        lines = compose_branches.variables(name, chosen, 9080, tokens, "feira").splitlines()
        told[name] = dict(line.split("=", 1) for line in lines)
    assert [each["PORT"] for each in told.values()] == ["9080", "9180", "9280"]
    assert read_urls(told["filial"]["PEERS"]) == {
        "matriz": "http://matriz.branches:8080",
        "litoral": "http://litoral.branches:8080",
    }
    for one, other in combinations(chosen, 2):
        mine = read_tokens(told[one]["REPLICA_TOKENS"], "", [n for n in chosen if n != one])
        theirs = read_tokens(told[other]["REPLICA_TOKENS"], "", [n for n in chosen if n != other])
        assert mine[other] == theirs[one]
    for different in ("JWT_ISSUER", "SERVICE_TOKEN", "COMPOSE_PROJECT_NAME", "TLS_PORT"):
        assert len({each[different] for each in told.values()}) == 3
    assert {each["BRANCHES_NETWORK"] for each in told.values()} == {"feira-branches"}


OVERLAY = yaml.safe_load((REPOSITORY / compose_branches.OVERLAY).read_text("utf-8"))
BASE = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text("utf-8"))["services"]


def test_whoever_sends_and_whoever_answers_is_where_branches_meet() -> None:
    assert OVERLAY["services"].keys() == {
        "gateway",
        "catalog",
        "catalog-background",
        "orders-background",
    }
    assert all("branches" in each["networks"] for each in OVERLAY["services"].values())
    assert OVERLAY["networks"]["branches"]["name"] == "${BRANCHES_NETWORK:-feira-branches}"


@pytest.mark.parametrize("service", list(OVERLAY["services"]))
def test_nobody_asks_for_a_name_that_every_branch_has_where_they_meet(service: str) -> None:
    """Docker answers with the addresses of all of them: a shop would sell another one's stock."""
    told = BASE[service]["environment"] | OVERLAY["services"][service].get("environment", {})
    shared = "|".join(OVERLAY["services"])
    asked = {
        key: value for key, value in told.items() if re.search(rf"\b({shared}):\d", str(value))
    }
    assert asked == {}


def test_the_name_that_is_asked_for_instead_is_known_inside_the_branch_only() -> None:
    networks = OVERLAY["services"]["catalog"]["networks"]
    assert networks == {"services": {"aliases": ["catalog.${NODE_NAME:-matriz}"]}, "branches": {}}


@pytest.mark.parametrize(
    "text", ["filial", "filial=ftp://x", "a=http://x,a=http://y", "a=http://x/y"]
)
def test_peers_that_cannot_be_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"must be|twice"):
        read_urls(text)


def test_tokens_are_kept_as_json(tmp_path: Path) -> None:
    branches.stacks(read_settings(feira_home=tmp_path), 2)
    known = json.loads((tmp_path / "branches" / "tokens.json").read_text("utf-8"))
    assert list(known) == ["filial|matriz"]
