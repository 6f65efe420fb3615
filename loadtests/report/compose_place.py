"""A Compose project of the report's own: the images of `make up`, other ports, other volumes."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from loadtests.bench import cpu
from loadtests.commands import Commands
from loadtests.drills.compose_rig import ComposeRig
from loadtests.own_stack import RATES
from local.settings import REPOSITORY, inherited_environment
from local.web import free_ports

PROJECT = "feira-report"
_GROUPS = {"gateway": "nginx", "catalog-db": "Postgres", "orders-db": "Postgres"}
_SECONDS = 900


@contextmanager
def own_project(services: dict[str, str]) -> Iterator[Commands]:
    """Start it, and say what commands it is reached with; it is removed afterwards, with its data.

    Raises StackError.
    """
    ports = free_ports()
    chosen = {"COMPOSE_PROJECT_NAME": PROJECT, "CONNECTIONS_PER_ADDRESS": "4096"}
    chosen |= {"PORT": str(ports["port"]), "TLS_PORT": str(ports["tls_port"])}
    limits = {name.upper(): str(value) for name, value in RATES.items()}
    environment = inherited_environment() | services | limits | chosen
    project = Commands(REPOSITORY, environment, _SECONDS)
    compose = (sys.executable, "-m", "local.compose")
    try:
        project.run(*compose, "up")
        yield project
    finally:
        project.run(*compose, "down", "--volumes")


class ComposePlace:
    """The project as a report uses it."""

    name = "compose"
    # Only the gateway publishes a port.
    catalog_url: str | None = None

    def __init__(self, project: Commands) -> None:
        self._project = project
        rig = self.rig()
        self.url, self.admin = rig.url, rig.admin

    def rig(self) -> ComposeRig:
        """By Docker."""
        return ComposeRig(environment=self._project.environment)

    def versions(self) -> dict[str, str]:
        """As the programs in the containers say, in their own words."""
        asked = {
            "PostgreSQL": ("catalog-db-1", "postgres", "--version"),
            "Redis": ("redis-carts", "redis-server", "--version"),
        }
        found = {
            name: re.search(
                r"\d+\.[\d.]+", self._project.run("docker", "compose", "exec", "-T", *command)
            )
            for name, command in asked.items()
        }
        docker = self._project.run("docker", "version", "--format", "{{.Server.Version}}").strip()
        return {name: match[0] if match else "-" for name, match in found.items()} | {
            "Docker": docker
        }

    def scale(self, service: str, instances: int) -> None:
        """As an operator would; nothing else is touched."""
        options = ("up", "--detach", "--no-build", "--no-deps", "--no-recreate", "--wait")
        count = f"--scale={service}={instances}"
        self._project.run("docker", "compose", *options, count, service)

    def cpu_seconds(self) -> dict[str, float] | None:
        """Of the containers' processes, if they run on this machine's kernel."""
        ids = self._project.run("docker", "compose", "ps", "--quiet").split()
        found = json.loads(self._project.run("docker", "inspect", *ids))
        label = "com.docker.compose.service"
        roots = {int(each["State"]["Pid"]): each["Config"]["Labels"][label] for each in found}
        table = cpu.processes()
        if not roots.keys() <= {process.pid for process in table}:
            return None
        groups: dict[str, float] = {}
        for name, seconds in cpu.attribute(table, roots).items():
            starts = (group for start, group in _GROUPS.items() if name.startswith(start))
            group = next(starts, cpu.group_of(name))
            groups[group] = groups.get(group, 0.0) + seconds
        return groups
