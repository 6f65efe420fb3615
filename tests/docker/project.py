"""One Compose project as the tests see it: make, docker, and what a client needs to know."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

# Two clones on one machine need two names.
NAME = os.environ.get("DOCKER_TEST_PROJECT", "feira-test")
# Limits that a test would run into from its one address, and costs that it need not pay.
SETTINGS = {
    "RATE_PER_SECOND": "100000",
    "RATE_BURST": "100000",
    "LOGIN_RATE_PER_MINUTE": "100000",
    "ACCOUNT_RATE_PER_MINUTE": "100000",
    "BCRYPT_ROUNDS": "4",
    "LOGIN_FAILURES_PER_ADDRESS": "100000",
    # One token has to last for the whole run.
    "ACCESS_TOKEN_SECONDS": "7200",
    "IMAGE_TAG": NAME.removeprefix("feira-"),
    "COMPOSE_PROJECT_NAME": NAME,
}
OWN_IMAGES = ("gateway", "catalog", "cart", "orders", "tools", "postgres", "etcd", "prometheus")


class Project:
    """Stands where the embedded `Stack` does for fixtures: `url`, `secrets`, `settings`."""

    def __init__(self, folder: Path, ports: dict[str, int]) -> None:
        self.folder = folder
        self.port = ports["port"]
        self.url = f"http://127.0.0.1:{self.port}"
        # A port that the embedded stack would have.
        prometheus_port = ports["supervisor_port"]
        self.prometheus_url = f"http://127.0.0.1:{prometheus_port}"
        self.settings = SimpleNamespace(admin_email="admin@feira.local")
        chosen = {"PORT": str(ports["port"]), "TLS_PORT": str(ports["tls_port"])}
        chosen["PROMETHEUS_PORT"] = str(prometheus_port)
        # Make's own variables, and a .env's names in this shell, would get in the way.
        inherited = {key: value for key, value in os.environ.items() if not key.startswith("MAKE")}
        self.environment = inherited | SETTINGS | chosen

    @property
    def values(self) -> dict[str, str]:
        """What `make up` wrote into .env."""
        return dict(re.findall(r"(?m)^([A-Z_]+)=(.*)$", (self.folder / ".env").read_text()))

    @property
    def secrets(self) -> SimpleNamespace:
        """The secrets under the names that the embedded stack has for them."""
        return SimpleNamespace(**{key.lower(): value for key, value in self.values.items()})

    def make(self, *arguments: str) -> str:
        """Run make in the clone; what it printed."""
        return self.run("make", *arguments)

    def compose(self, *arguments: str) -> str:
        """Run Docker Compose in the clone; what it printed."""
        return self.run("docker", "compose", *arguments)

    def docker(self, *arguments: str) -> str:
        """Run docker; what it printed."""
        return self.run("docker", *arguments)

    def run(self, *command: str) -> str:
        """Run a command in the clone; what it printed."""
        done = self.attempt(*command)
        assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}"
        return done.stdout

    def attempt(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command that may fail; its output and errors together."""
        return subprocess.run(
            command,
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            timeout=900,
        )

    def containers(self, service: str) -> list[str]:
        """Names of the containers of a service that run."""
        lines = self.compose("ps", "--format", "{{.Name}}", service).splitlines()
        return sorted(line for line in lines if line.startswith(NAME))

    def inspect(self) -> dict[str, Any]:
        """Service name to what Docker knows of one of its containers, ended ones too."""
        ids = self.compose("ps", "--all", "--quiet").split()
        every = json.loads(self.docker("inspect", *ids))
        return {each["Config"]["Labels"]["com.docker.compose.service"]: each for each in every}

    def unhealthy(self) -> list[str]:
        """Services with a health check that has not passed lately."""
        states = {service: each["State"] for service, each in self.inspect().items()}
        return [
            service
            for service, state in states.items()
            if state.get("Health", {}).get("Status", "healthy") != "healthy"
        ]

    def leftovers(self) -> dict[str, list[str]]:
        """What Docker still has of this project."""
        label = f"label=com.docker.compose.project={NAME}"
        return {
            kind: self.docker(
                kind, "ls", *(["--all"] * (kind == "container")), "--quiet", "--filter", label
            ).split()
            for kind in ("container", "network", "volume")
        }

    def members(self) -> dict[str, str]:
        """Role of each node of the catalog's cluster, as any of its nodes that runs sees it."""
        for node in ("catalog-db-1", "catalog-db-2"):
            command = ("docker", "compose", "exec", "-T", node, "patronictl", "list", "-f", "json")
            done = self.attempt(*command)
            if done.returncode == 0:
                found = json.loads(done.stdout[done.stdout.index("[") :])
                return {each["Member"]: f"{each['Role']} {each['State']}" for each in found}
        return {}
