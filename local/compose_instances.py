"""The containers of a service: which are not what they should be, one more, one less."""

from __future__ import annotations

import json
import time
from typing import Any

from local import compose_engine as engine
from local.errors import StackError

# Longer than docker-compose.yml waits until it calls an instance unhealthy.
_HEALTHY_SECONDS = 180.0
_CREATE_SECONDS = 60.0
# Longer than any is given to end by itself.
_STOP_SECONDS = 90.0
# Who calls an instance looks its name up each second (the gateway) or each two (the services). One
# that became healthy sooner would take the place of another before anybody knew of it.
_KNOWN_SECONDS = 4.0
_LOG_LINES = "15"


def containers(service: str) -> list[str]:
    """Ids of the containers of a service, ended ones too, the oldest first."""
    return [each["Id"] for each in _inspected(service)]


def outdated(service: str) -> list[str]:
    """Those of them that Compose would replace, for another image or another definition.

    Those that do not serve come first, then the oldest.
    """
    image = engine.project("--profile", "*")["services"][service]["image"]
    wanted = (
        engine.output("docker", "image", "inspect", "--format", "{{.Id}}", image),
        engine.output("docker", "compose", "config", "--hash", service).split()[-1],
    )
    old = [
        each
        for each in _inspected(service)
        if (each["Image"], each["Config"]["Labels"]["com.docker.compose.config-hash"]) != wanted
    ]
    return [each["Id"] for each in sorted(old, key=lambda each: _state(each) == "healthy")]


def discard_failing_successors(service: str) -> None:
    """Remove the new instances that an upgrade left behind and that do not become healthy."""
    old = outdated(service)
    for container in containers(service):
        if old and container not in old and not _becomes_healthy(container):
            engine.output("docker", "rm", "--force", container)


def start_another(service: str) -> None:
    """Start one instance more, and wait until it is healthy.

    Raises StackError if it does not become so: it is removed, as it is on Ctrl-C.
    """
    before = containers(service)
    try:
        _create(service, f"--scale={service}={len(before) + 1}")
        for container in _added(service, before):
            _start(service, container)
    except BaseException:
        for container in _added(service, before):
            engine.output("docker", "rm", "--force", container)
        raise


def replace(service: str) -> bool:
    """Replace the one container of a service, if it is not what it should be; whether it was.

    Raises StackError if the new one does not become healthy.
    """
    if containers(service) and not outdated(service):
        return False
    for container in containers(service):
        let_go(container)
    _create(service)
    for container in containers(service):
        _start(service, container)
    return True


def _create(service: str, *options: str) -> None:
    # Not started by Compose, which would run again what the service depends on. And not with
    # --no-deps: such a container counts as outdated, and the next `up` would replace it.
    command = ("up", "--no-start", "--no-build", "--no-recreate", *options, service)
    engine.check(f"{service} could not be created", *command, seconds=_CREATE_SECONDS)


def _start(service: str, container: str) -> None:
    engine.output("docker", "start", container)
    known = time.monotonic() + _KNOWN_SECONDS
    if not _becomes_healthy(container):
        # What it wrote to its standard error comes out on ours.
        print(engine.output("docker", "logs", "--tail", _LOG_LINES, container), flush=True)
        raise StackError(f"the new {service} did not become healthy; the others go on serving")
    time.sleep(max(0.0, known - time.monotonic()))


def let_go(container: str) -> None:
    """Have an instance finish what it has begun, and remove it."""
    engine.output("docker", "stop", container, seconds=_STOP_SECONDS)
    engine.output("docker", "rm", container)


def _added(service: str, before: list[str]) -> list[str]:
    return [container for container in containers(service) if container not in before]


def _becomes_healthy(container: str) -> bool:
    limit = time.monotonic() + _HEALTHY_SECONDS
    while time.monotonic() < limit:
        (found,) = json.loads(engine.output("docker", "inspect", container))
        if (state := _state(found)) != "starting":
            return state == "healthy"
        if _passes_its_check(found):
            return True
        time.sleep(0.3)
    return False


def _passes_its_check(container: dict[str, Any]) -> bool:
    """Run its health check now: Docker does so once in HEALTH_INTERVAL, the first time too."""
    kind, *test = container["Config"]["Healthcheck"]["Test"]
    command = ("sh", "-c", *test) if kind == "CMD-SHELL" else test
    return engine.succeeds("docker", "exec", container["Id"], *command)


def _state(container: dict[str, Any]) -> str:
    """`healthy`, `starting`, or what else it is."""
    state = container["State"]
    if state["Status"] != "running":
        return str(state["Status"])
    return str(state.get("Health", {"Status": "healthy"})["Status"])


def _inspected(service: str) -> list[dict[str, Any]]:
    ids = engine.output("docker", "compose", "ps", "--all", "--quiet", service).split()
    every: list[dict[str, Any]] = (
        json.loads(engine.output("docker", "inspect", *ids)) if ids else []
    )
    # What `docker compose run` has started is no instance.
    mine = [
        each for each in every if each["Config"]["Labels"]["com.docker.compose.oneoff"] == "False"
    ]
    return sorted(mine, key=lambda each: str(each["Created"]))
