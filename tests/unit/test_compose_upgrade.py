"""An upgrade that failed or was broken off is gone on with by the next one.

Docker is played by a stand-in that keeps containers and volumes in memory; with the real one,
tests/docker/test_upgrade.py has shoppers look on.
"""

from __future__ import annotations

import itertools
import json
import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from local import compose, compose_notes, compose_restore, compose_upgrade
from local import compose_engine as engine
from local.errors import StackError

SCALED = {"catalog": 2, "cart": 1, "orders": 1, "orders-worker": 1}
NODES = {"catalog-db-1": "catalog", "catalog-db-2": "catalog", "orders-db-1": "orders"}
OTHERS = ("gateway", "etcd", "redis-carts", "redis-streams")
BACKGROUND = ("catalog-background", "cart-background", "orders-background")


class Clock:
    """Stands for the module `time`; it goes on only while somebody sleeps."""

    now = 0.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


class Killed(BaseException):
    """SIGKILL: nothing is done any more, not even what should be done in the end."""


class Docker:
    """What the commands around Compose use of it."""

    def __init__(self) -> None:
        self.version = "old"
        self.broken: set[tuple[str, str]] = set()
        self.volumes: dict[str, str] = {}
        self.containers: dict[str, dict[str, Any]] = {}
        self.commands: list[str] = []
        self.dies_before = ""
        self.peers = ""
        self.dead = False
        self._numbers = itertools.count()
        # catalog-0, catalog-1, cart-2, orders-3, orders-worker-4, and then the others.
        for service, count in SCALED.items():
            for _ in range(count):
                self._add(service)
        for service in (*OTHERS, *BACKGROUND, *NODES):
            self._add(service)
        self.fewest = 1
        self.clock = Clock()
        self.started: dict[str, float] = {}
        self.youngest = math.inf

    def _add(self, service: str, *options: str) -> None:
        number = next(self._numbers)
        broken = (service, self.version) in self.broken
        self.containers[f"{service}-{number}"] = {
            "Id": f"{service}-{number}",
            "Created": f"{number:04}",
            "Image": self.version,
            "State": {
                "Status": "running",
                "Health": {"Status": "unhealthy" if broken else "healthy"},
            },
            "Config": {
                "Labels": {
                    # As Compose has it: one without what it depends on is another definition.
                    "com.docker.compose.config-hash": "".join((self.version, *options)),
                    "com.docker.compose.oneoff": "False",
                }
            },
        }

    def of(self, service: str) -> list[str]:
        return [name for name in self.containers if name.rpartition("-")[0] == service]

    def instances(self) -> dict[str, Counter[tuple[str, str]]]:
        """Of each service, how many containers there are of each version and health."""
        return {
            service: Counter(
                (each["Image"], each["State"]["Health"]["Status"])
                for name, each in self.containers.items()
                if name in self.of(service)
            )
            for service in SCALED
        }

    def _live(self, words: str) -> None:
        self.commands.append(words)
        if self.dies_before and words.startswith(self.dies_before):
            self.dead = True
        if self.dead:
            raise Killed
        for each in self.instances().values():
            healthy = sum(count for (_, health), count in each.items() if health == "healthy")
            self.fewest = min(self.fewest, healthy)

    def run(self, *words: str, seconds: float | None = None) -> int:
        self._live(" ".join(words))
        if words[0] == "up":
            return self._up([word for word in words[1:] if not word.startswith("--")], words)
        return 0

    def _up(self, services: list[str], words: tuple[str, ...]) -> int:
        scales = dict(
            word.removeprefix("--scale=").split("=") for word in words if "--scale=" in word
        )
        alone = [word for word in words if word == "--no-deps"]
        for service in services:
            for _ in range(int(scales.get(service, 1)) - len(self.of(service))):
                self._add(service, *alone)
        for service, count in scales.items():
            for name in self.of(service)[int(count) :]:
                del self.containers[name]
        waited = [name for name in services if "--wait" in words] or list(SCALED)
        states = [
            self.containers[name]["State"]["Health"]["Status"]
            for service in waited
            for name in self.of(service)
        ]
        return int("--wait" in words and "unhealthy" in states)

    def output(self, *words: str, given: str | None = None, seconds: float = 0) -> str:
        self._live(" ".join(words[1:]))
        match words[1:]:
            case ("compose", "ps", *_, service):
                return "\n".join(self.of(service))
            case ("compose", "config", "--hash", service):
                return f"{service} {self.version}"
            case ("compose", "exec", *_):
                rows = [("catalog-db-1", "Leader", "running")]
                rows.append(("catalog-db-2", "Sync Standby", "streaming"))
                found = rows if "catalog-db-1" in words else [("orders-db-1", *rows[0][1:])]
                keys = ("Member", "Role", "State")
                return json.dumps([dict(zip(keys, row, strict=True)) for row in found])
            case ("image", "inspect", *_):
                return self.version
            case ("inspect", *names):
                return json.dumps([self.containers[name] for name in names])
            case ("rm", *_, name):
                del self.containers[name]
            case ("start", name):
                self.started[name] = self.clock.now
            case ("stop", name):
                others = {*self.of(name.rpartition("-")[0]), name} - {name}
                ages = [self.clock.now - self.started[each] for each in others & {*self.started}]
                self.youngest = min([self.youngest, *ages])
                self.containers[name]["State"] = {"Status": "exited"} | {
                    "Health": {"Status": "unhealthy"}
                }
            case ("volume", "ls", *_):
                return "\n".join(self.volumes)
            case ("volume", "inspect", *_, name):
                return self.volumes[name]
            case ("volume", "create", *options, name):
                self.volumes[name] = options[-1].partition("feira.note=")[2]
            case ("volume", "rm", "--force", name):
                self.volumes.pop(name, None)
        return ""

    def project(self, *options: str) -> dict[str, Any]:
        services: dict[str, Any] = {
            name: {"image": name}
            for name in (*OTHERS, *BACKGROUND, *SCALED, "certificate", "orders-seed")
        }
        services |= {
            node: {"image": "postgres", "environment": {"SCOPE": scope}}
            for node, scope in NODES.items()
        }
        services["catalog"]["environment"] = {"PEERS": self.peers}
        return {"name": "feira", "services": services, "volumes": {}}


@pytest.fixture
def docker(monkeypatch: pytest.MonkeyPatch) -> Iterator[Docker]:
    """A shop that runs; the next version is in the clone."""
    made = Docker()
    made.version = "new"
    for name in ("run", "output", "project"):
        monkeypatch.setattr(engine, name, getattr(made, name))
    for name in ("ensure_secrets", "require_environment"):
        monkeypatch.setattr(engine, name, lambda **_: None)
    monkeypatch.setattr("local.compose_instances.time", made.clock)
    yield made


def all_of(version: str) -> dict[str, Counter[tuple[str, str]]]:
    return {service: Counter({(version, "healthy"): count}) for service, count in SCALED.items()}


def test_an_upgrade_replaces_every_instance_and_leaves_no_note(docker: Docker) -> None:
    assert compose_upgrade.upgrade() == 0
    assert docker.instances() == all_of("new")
    assert docker.volumes == {}
    # The gateway looks names up each second, services each two: by then all know the new one.
    assert 3 <= docker.youngest < math.inf


def test_what_an_upgrade_has_made_is_what_compose_would_make(docker: Docker) -> None:
    compose_upgrade.upgrade()
    before = set(docker.containers)
    compose_upgrade.upgrade()
    assert set(docker.containers) == before


def test_a_new_instance_that_fails_is_gone_when_the_upgrade_stops(docker: Docker) -> None:
    docker.broken = {("cart", "new")}
    with pytest.raises(StackError, match="the new cart did not become healthy"):
        compose_upgrade.upgrade()
    assert docker.instances()["cart"] == Counter({("old", "healthy"): 1})
    docker.version = "mended"
    compose_upgrade.upgrade()
    assert docker.instances() == all_of("mended")


def test_an_old_instance_that_fails_does_not_keep_the_next_version_away(docker: Docker) -> None:
    for name in docker.of("orders"):
        docker.containers[name]["State"]["Health"]["Status"] = "unhealthy"
    compose_upgrade.upgrade()
    assert docker.instances() == all_of("new")


def test_ctrl_c_takes_the_new_instance_along(
    docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(container: str) -> bool:
        raise KeyboardInterrupt

    monkeypatch.setattr("local.compose_instances._becomes_healthy", interrupt)
    with pytest.raises(KeyboardInterrupt):
        compose_upgrade.upgrade()
    assert docker.instances() == all_of("old")


@pytest.mark.parametrize("version", ["new", "old", "mended"])
@pytest.mark.parametrize(
    ("moment", "failing"),
    [
        *itertools.product(("stop catalog-0", "rm catalog-0", "stop catalog-1"), (False, True)),
        ("stop cart-2", False),
        ("rm orders-3", False),
    ],
)
def test_an_upgrade_that_was_killed_is_gone_on_with(
    docker: Docker, moment: str, failing: bool, version: str
) -> None:
    docker.dies_before = moment
    with pytest.raises(Killed):
        compose_upgrade.upgrade()
    assert sum(each.total() for each in docker.instances().values()) == sum(SCALED.values()) + 1
    docker.dies_before, docker.dead, docker.version = "", False, version
    for name, each in docker.containers.items():
        if failing and each["Image"] == "new" and name in docker.of("catalog")[-1:]:
            each["State"]["Health"]["Status"] = "unhealthy"
    compose_upgrade.upgrade()
    assert docker.instances() == all_of(version)
    assert docker.fewest == 1, "a service had no instance that served"
    assert docker.volumes == {}


def test_make_up_forgets_what_an_upgrade_was_about_to_do(
    docker: Docker, monkeypatch: pytest.MonkeyPatch
) -> None:
    docker.dies_before = "stop catalog-0"
    with pytest.raises(Killed):
        compose_upgrade.upgrade()
    docker.dies_before, docker.dead = "", False
    assert compose_notes.read(compose_notes.UPGRADE)
    monkeypatch.setattr(engine, "run", lambda *_: 1)
    with pytest.raises(StackError, match="healthy"):
        compose.up()
    assert docker.volumes == {}


def test_while_a_restore_is_half_done_nothing_else_begins(docker: Docker) -> None:
    compose_notes.write(compose_notes.RESTORE, "backups/20261121T083210Z")
    docker.commands.clear()
    commands = (["up"], ["upgrade"], ["backup", "/nowhere"])
    assert [compose.main(command) for command in commands] == [1, 1, 1]
    changing = ("up", "build", "run", "exec", "volume create", "volume rm")
    assert [each for each in docker.commands if each.startswith(changing)] == []


def test_a_restore_that_died_is_repeated_without_force(
    docker: Docker, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    def die(*_: Any) -> None:
        raise Killed

    manifest = {"began_at": "now", "version": "1", "databases": {}}
    monkeypatch.setattr("local.backup_files.read", lambda *_: manifest)
    monkeypatch.setattr("local.backup_files.prove_base_backup", lambda *_: {"postgres": "15"})
    monkeypatch.setattr("local.compose_restore._check_server", lambda *_: None)
    monkeypatch.setattr("local.compose_restore._data_volumes", lambda: ["feira_catalog-db-1"])
    monkeypatch.setattr("local.compose_restore._reconcile", lambda *_: None)
    monkeypatch.setattr("local.compose_restore._close_stock", lambda *_: None)
    monkeypatch.setattr("local.compose_restore._put_back", die)
    with pytest.raises(StackError, match="FORCE=1"):
        compose_restore.restore(tmp_path, force=False)
    assert docker.volumes == {}
    with pytest.raises(Killed):
        compose_restore.restore(tmp_path, force=True)
    with pytest.raises(StackError, match=f"repeat it with .* FROM={tmp_path}"):
        compose_notes.refuse_if_half_restored()
    monkeypatch.setattr("local.compose_restore._put_back", lambda *_: None)
    compose_restore.restore(tmp_path, force=False)
    assert docker.volumes == {}


@pytest.mark.parametrize(
    ("peers", "closed"), [("filial=http://filial.branches:8080", True), ("", False)]
)
def test_a_branch_is_closed_before_anything_is_given_back_or_let_in(
    docker: Docker, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, peers: str, closed: bool
) -> None:
    docker.peers = peers
    steps: list[str] = []
    run = docker.run

    def noted(*words: str, seconds: float | None = None) -> int:
        steps.append(" ".join(word for word in words if not word.startswith("--")))
        return run(*words, seconds=seconds)

    manifest = {"began_at": "now", "version": "1", "databases": {}}
    monkeypatch.setattr(engine, "run", noted)
    monkeypatch.setattr("local.backup_files.read", lambda *_: manifest)
    monkeypatch.setattr("local.backup_files.prove_base_backup", lambda *_: {"postgres": "15"})
    for step in ("_check_server", "_put_back"):
        monkeypatch.setattr(f"local.compose_restore.{step}", lambda *_: None)
    monkeypatch.setattr("local.compose_restore._data_volumes", list)
    monkeypatch.setattr("local.compose_restore._reconcile", lambda *_: steps.append("reconcile"))
    compose_restore.restore(tmp_path, force=False)
    assert "catalog cart orders" in steps[-3 if closed else -2]
    assert steps[-2:] == (
        ["run catalog rejoin", "reconcile"] if closed else [steps[-2], "reconcile"]
    )


def test_what_is_deleted_with_everything_is_the_note_too(docker: Docker) -> None:
    compose_notes.write(compose_notes.RESTORE, "backups/20261121T083210Z")
    assert compose.down(volumes=False) == 0
    assert compose_notes.read(compose_notes.RESTORE) == "backups/20261121T083210Z"
    assert compose.down(volumes=True) == 0
    assert docker.volumes == {}
