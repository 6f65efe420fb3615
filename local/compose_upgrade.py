"""`make upgrade`: from the version that runs to the one in this clone, while the shop is open.

Schemas first, which serve both versions. Then one instance after the other: a new one is started
and waited for, an old one finishes what it has begun and goes. Of the databases, standbys first.
What there is only one of comes last, with a gap of some seconds; most upgrades do not touch it.
"""

from __future__ import annotations

import json
import time
from typing import Any

from local import compose_engine as engine
from local import compose_instances as instances
from local import compose_notes as notes
from local.compose_backup import nodes
from local.errors import StackError

# Of jobs. Without --no-deps Compose would replace all that depend on one: the gateway too.
_UP = ("up", "--no-build", "--no-deps")
_MIGRATIONS = ("catalog-migrate", "orders-migrate")
_SEEDS = ("catalog-seed", "orders-seed")
# Those that others call before those that call them.
_INSTANCES = ("catalog", "cart", "orders", "orders-worker")
_BACKGROUND = ("catalog-background", "cart-background", "orders-background")
# Of the overlays, those that are chosen.
_SINGLE = ("etcd", "redis-carts", "redis-streams", "kafka", "gateway", "prometheus", "grafana")
# A migration gives up rather than have the shop queue behind it, and is tried again.
_ATTEMPTS = 5
_MEMBERS_SECONDS = 120.0
_SWITCHOVER_SECONDS = 120.0
# Patroni that asks etcd in vain gives up after ten.
_LIST_SECONDS = 20.0


def upgrade() -> int:
    """Replace everything that is not what docker-compose.yml and the images now say."""
    engine.require_environment(complete=False)
    engine.ensure_secrets()
    notes.refuse_if_half_restored()
    began = time.monotonic()
    if not instances.containers("gateway") and not instances.containers("catalog"):
        raise StackError("Feira does not run; `make up` starts the version in this clone")
    engine.check("the images could not be built; nothing was changed", "build", "--quiet")
    _say(began, "images built")
    for job in _MIGRATIONS:
        _run_to_its_end(job)
    _say(began, "schemas migrated")
    counts = _counts()
    for service, count in counts.items():
        _say(began, f"{service}: {_replace_instances(service, count)} instances replaced")
    for service in _BACKGROUND:
        instances.replace(service)
    for job in (*_SEEDS, "certificate"):
        _run_to_its_end(job)
    _say(began, "background processes replaced, first data loaded")
    for cluster, members in nodes().items():
        _say(began, f"cluster {cluster}: {_replace_nodes(members)} nodes replaced")
    chosen = engine.project()["services"]
    replaced = [each for each in _SINGLE if each in chosen and instances.replace(each)]
    _say(began, f"replaced with a gap: {', '.join(replaced) or 'nothing'}")
    # What the version before did not have yet is as many as it says itself.
    scale = [f"--scale={service}={count}" for service, count in counts.items() if count]
    engine.check(
        "not everything became healthy",
        *("up", "--detach", "--no-build", "--no-recreate", "--wait", "--remove-orphans", *scale),
    )
    notes.remove(notes.UPGRADE)
    _say(began, "upgraded")
    return 0


def _counts() -> dict[str, int]:
    """How many instances of each service there are to be: as many as there were, and noted so.

    An upgrade that was broken off has left its note, and up to one instance too many.
    """
    found = {service: len(instances.containers(service)) for service in _INSTANCES}
    noted = json.loads(notes.read(notes.UPGRADE) or "{}")
    counts = {
        service: count - 1 if count - 1 == noted.get(service) else count
        for service, count in found.items()
    }
    if counts != noted:
        notes.write(notes.UPGRADE, json.dumps(counts))
    return counts


def _run_to_its_end(job: str) -> None:
    for _ in range(_ATTEMPTS):
        if engine.run(*_UP, "--no-log-prefix", "--exit-code-from", job, job) == 0:
            return
    raise StackError(f"{job} failed {_ATTEMPTS} times; what is not replaced yet goes on serving")


def _replace_instances(service: str, count: int) -> int:
    """Start a new instance and let an old one go, until none is old; how many there were.

    What an upgrade that was broken off has left is made use of, or removed.
    """
    instances.discard_failing_successors(service)
    old = instances.outdated(service)
    for container in old:
        if len(instances.containers(service)) <= count:
            instances.start_another(service)
        instances.let_go(container)
    return len(old)


def _replace_nodes(members: list[str]) -> int:
    """Replace the standbys of a cluster, hand over to one of them, replace the former primary."""
    old = [node for node in members if instances.outdated(node)]
    if not old:
        return 0
    leader = _leader(members)
    for node in [node for node in old if node != leader]:
        instances.replace(node)
        _wait_until_whole(members)
    if leader in old:
        others = [node for node in members if node != leader]
        if others:
            command = ("patronictl", "switchover", "--leader", leader, "--candidate", others[0])
            options = ("exec", "-T", leader, *command, "--force")
            engine.check("no switchover", *options, seconds=_SWITCHOVER_SECONDS)
            _wait_until_whole(members)
        instances.replace(leader)
        _wait_until_whole(members)
    return len(old)


def _leader(members: list[str]) -> str:
    found = [each["Member"] for each in _members(members) if each["Role"] == "Leader"]
    if not found:
        raise StackError(f"the cluster of {members[0]} has no primary: patronictl list tells why")
    return str(found[0])


def _wait_until_whole(members: list[str]) -> None:
    """Wait for a primary, and for standbys that follow it, one of them synchronously."""
    limit = time.monotonic() + _MEMBERS_SECONDS
    wanted = ["Leader running", *["Sync Standby streaming"] * (len(members) > 1)]
    while True:
        found = sorted(f"{each['Role']} {each['State']}" for each in _members(members))
        if len(found) == len(members) and set(wanted) <= set(found):
            return
        if time.monotonic() > limit:
            raise StackError(f"the cluster of {members[0]} is not whole: {', '.join(found)}")
        time.sleep(0.5)


def _members(members: list[str]) -> list[dict[str, Any]]:
    """What Patroni says of the nodes of a cluster, asked of any that answers."""
    for node in members:
        command = ("docker", "compose", "exec", "-T", node, "patronictl", "list", "-f", "json")
        try:
            text = engine.output(*command, seconds=_LIST_SECONDS)
        except StackError:
            continue
        found: list[dict[str, Any]] = json.loads(text[text.index("[") :])
        return found
    return []


def _say(began: float, text: str) -> None:
    print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)
