"""Drills on the project that `make up` started: by Docker, on the running system."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from loadtests.commands import Commands
from local.errors import StackError
from local.settings import REPOSITORY

_LOOK = Path(__file__).with_name("look.py").read_text("utf-8")
_NODES = ("catalog-db-1", "catalog-db-2")
_PARTS = (*_NODES, "etcd", "redis-carts", "redis-streams")
_LOGGED = ("catalog", "catalog-background", "cart", "cart-background", "orders")
_SECONDS = 120
# Commits a message to the log of changes, which nobody reads, and changes no table.
_COMMIT = (
    'PGPASSWORD="$SERVICE_PASSWORD" timeout {seconds} psql -qAt -h 127.0.0.1 -U "$DATABASE"'
    " -d \"$DATABASE\" -c \"SELECT pg_logical_emit_message(true, 'feira-drill', '')\" 2>&1"
)


class ComposeRig:
    """The Compose project of a folder, as its environment and its .env name it."""

    nodes: tuple[str, ...] = _NODES
    dcs = "etcd"
    carts = "redis-carts"
    streams = "redis-streams"

    def __init__(
        self, folder: Path = REPOSITORY, environment: dict[str, str] | None = None
    ) -> None:
        """Raises StackError when the project does not run.

        Args:
            folder: where docker-compose.yml is.
            environment: in place of this process's own.
        """
        self._commands = Commands(folder, environment, _SECONDS)
        project = json.loads(self._commands.run("docker", "compose", "config", "--format", "json"))
        self._project: str = project["name"]
        self._services: dict[str, Any] = project["services"]
        orders = self._services["orders-seed"]["environment"]
        self.admin = (orders["ADMIN_EMAIL"], orders["ADMIN_PASSWORD"])
        self._containers = self._find_containers()
        missing = [part for part in (*_PARTS, "catalog", "gateway") if part not in self._containers]
        if missing:
            raise StackError(
                f"{', '.join(missing)} of {self._project} is not there: `make up` first"
            )
        self.url = url_of(
            self._commands.run("docker", "compose", "port", "gateway", "8080").strip()
        )
        self._links = {part: self._networks(part) for part in (*_PARTS, *self.catalog_instances())}
        self._addresses: dict[str, str] = {}

    def _find_containers(self) -> dict[str, list[str]]:
        """Service to the names of its containers, ended ones too."""
        found: dict[str, list[str]] = {}
        label = f"label=com.docker.compose.project={self._project}"
        template = '{{.Names}} {{.Label "com.docker.compose.service"}}'
        listing = (
            "ps",
            "--all",
            "--filter",
            label,
            "--filter",
            "label=com.docker.compose.oneoff=False",
        )
        for line in self._docker(*listing, "--format", template).splitlines():
            container, service = line.split()
            found.setdefault(service, []).append(container)
        return found

    def why_not(self, kind: str) -> str | None:
        """Everything can be done with containers."""
        return None

    def catalog_instances(self) -> list[str]:
        """Containers of the catalog."""
        return sorted(self._containers["catalog"])

    def address(self, instance: str) -> str:
        """The address on the network that it shares with the gateway, kept while it is away."""
        networks = self._inspect(instance)["NetworkSettings"]["Networks"]
        address = networks[f"{self._project}_services"]["IPAddress"]
        if address:
            self._addresses[instance] = address
        return f"{self._addresses[instance]}:5001"

    def writers(self) -> set[str]:
        """Instances of the catalog, named after their containers."""
        ids = [self._inspect(name)["Config"]["Hostname"] for name in self.catalog_instances()]
        return {f"catalog-{each}" for each in ids}

    def watch_command(self, node: str) -> list[str]:
        """Inside of the node, where no cut of its networks is felt."""
        container = self._container(node)
        return ["docker", "exec", "-i", container, "python3", "-ISu", "-c", _LOOK, "8008"]

    def kill(self, part: str) -> None:
        """Kill a container with all that is in it."""
        self._docker("kill", "--signal=KILL", self._container(part))

    def crash_postmaster(self, node: str) -> None:
        """Kill the process whose id the data folder names."""
        command = 'kill -KILL "$(head -n 1 "$PGDATA/postmaster.pid")"'
        self._docker("exec", self._container(node), "sh", "-c", command)

    def freeze(self, node: str) -> None:
        """Freeze a container."""
        self._docker("pause", self._container(node))

    def cut(self, node: str) -> None:
        """Take a container off all of its networks."""
        for network in self._links[node]:
            self._docker("network", "disconnect", "--force", network, self._container(node))

    def mend(self) -> None:
        """Bring every container back to where docker-compose.yml has it."""
        for part, networks in self._links.items():
            container = self._container(part)
            if self._inspect(container)["State"]["Paused"]:
                self._docker("unpause", container)
            linked = self._inspect(container)["NetworkSettings"]["Networks"]
            for network, aliases in networks.items():
                if network not in linked:
                    options = [f"--alias={alias}" for alias in aliases]
                    self._docker("network", "connect", *options, network, container)
            if not self._inspect(container)["State"]["Running"]:
                self._docker("start", container)

    def acknowledges(self, node: str, seconds: float) -> bool | None:
        """Commit in the container itself; a warning means that only this node has the commit."""
        command = _COMMIT.format(seconds=seconds)
        done = self._commands.attempt("docker", "exec", self._container(node), "sh", "-c", command)
        if "is paused" in done.stderr or "is not running" in done.stderr:
            return None
        return done.returncode == 0 and "WARNING" not in done.stdout

    def service_lines(self, since: float) -> Iterable[dict[str, Any]]:
        """Lines of JSON of every container of a service."""
        for service in _LOGGED:
            for container in self._containers.get(service, []):
                for line in self._logs(container, since):
                    if line.startswith("{"):
                        with suppress(ValueError):  # not every line is one of ours
                            yield json.loads(line)

    def gateway_lines(self, since: float) -> Iterable[dict[str, Any]]:
        """Lines of the access log."""
        lines = self._logs(self._container("gateway"), since)
        return [json.loads(line) for line in lines if line.startswith("{")]

    def _logs(self, container: str, since: float) -> list[str]:
        return self._docker("logs", f"--since={since:.3f}", container).splitlines()

    def audit(self) -> tuple[bool, str]:
        """As `make audit ON=compose` does it."""
        command = ("docker", "compose", "run", "--rm", "--no-deps", "--quiet-pull", "audit")
        done = self._commands.attempt(*command)
        return done.returncode == 0, done.stdout or done.stderr

    def _container(self, part: str) -> str:
        """The container of a service that has one, or of an instance by its own name."""
        return self._containers.get(part, [part])[0]

    def _inspect(self, container: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = json.loads(self._docker("inspect", container))
        return found[0]

    def _networks(self, part: str) -> dict[str, list[str]]:
        """The networks of a part, as docker-compose.yml has them, with its names on each."""
        service = self._inspect(self._container(part))["Config"]["Labels"][
            "com.docker.compose.service"
        ]
        networks = self._services[service]["networks"]
        return {
            f"{self._project}_{network}": [service, *((options or {}).get("aliases") or [])]
            for network, options in networks.items()
        }

    def _docker(self, *arguments: str) -> str:
        return self._commands.run("docker", *arguments)


def url_of(published: str) -> str:
    """Where a port that Docker publishes (`host:port`, as LISTEN_ADDRESS has it) is reached."""
    host, _, port = published.rpartition(":")
    everywhere = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]", "::": "[::1]"}  # noqa: S104
    host = everywhere.get(host, host)
    return f"http://{f'[{host}]' if ':' in host and '[' not in host else host}:{port}"
