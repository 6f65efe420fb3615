"""Several branches in containers on one machine: one Compose project for each."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from itertools import combinations
from pathlib import Path

from local import compose_engine as engine
from local.compose_overlays import BASE
from local.errors import StackError
from local.secrets import write_private

NAMES = ("matriz", "filial", "litoral", "serra", "sertao")
OVERLAY = "compose/branches.yml"
NETWORK = "feira-branches"
PORT, TLS_PORT, STEP = 8080, 8443, 100
_FOLDER = engine.REPOSITORY / ".feira" / "compose-branches"


def up(count: int, port: int) -> int:
    """Start the branches, one after the other; each says where it is."""
    chosen = _chosen(count)
    engine.ensure_secrets()
    if NETWORK not in engine.output("docker", "network", "ls", "--format", "{{.Name}}").split():
        engine.output("docker", "network", "create", "--internal", NETWORK)
    for name in chosen:
        print(f"branch {name}", flush=True)
        _write(name, chosen, port)
        if _run(name, "up"):
            raise StackError(f"branch {name} did not start")
    return 0


def down(count: int, *, volumes: bool) -> int:
    """Remove the containers of the branches, and their data if asked."""
    options = ["--volumes"] * volumes
    failed = [
        name for name in _chosen(count) if _file(name).exists() and _run(name, "down", *options)
    ]
    if not failed:
        engine.output("docker", "network", "rm", "--force", NETWORK)
    return 1 if failed else 0


def variables(name: str, chosen: tuple[str, ...], port: int, tokens: dict[str, str]) -> str:
    """What one branch is told, as lines of an env file."""
    number = NAMES.index(name)
    others = [other for other in chosen if other != name]
    values = {
        "NODE_NAME": name,
        "PORT": str(port + STEP * number),
        "TLS_PORT": str(port + TLS_PORT - PORT + STEP * number),
        # A token of one branch says nothing to another: accounts are not shared.
        "JWT_ISSUER": f"feira-{name}",
        "JWT_AUDIENCE": f"feira-{name}",
        "PEERS": ",".join(f"{other}=http://{other}.branches:8080" for other in others),
        "REPLICA_TOKENS": ",".join(f"{other}={tokens[_pair(name, other)]}" for other in others),
    }
    return "".join(f"{key}={value}\n" for key, value in values.items())


def _write(name: str, chosen: tuple[str, ...], port: int) -> None:
    _FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = _FOLDER / "tokens.json"
    known: dict[str, str] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    pairs = [_pair(*each) for each in combinations(chosen, 2)]
    tokens = {pair: secrets.token_hex(24) for pair in pairs} | known
    write_private(path, json.dumps(tokens))
    write_private(_file(name), variables(name, chosen, port, tokens))


def _run(name: str, *arguments: str) -> int:
    # Secrets stay in files: whoever lists the processes sees only where those are.
    files = f"{engine.ENVIRONMENT},{_file(name)}"
    given = [
        f"COMPOSE_PROJECT_NAME=feira-{name}",
        f"COMPOSE_FILE={BASE}:{OVERLAY}",
        f"COMPOSE_ENV_FILES={files}",
    ]
    command = ["env", *given, sys.executable, "-m", "local.compose", *arguments]
    return subprocess.run(command, cwd=engine.REPOSITORY, check=False).returncode


def _file(name: str) -> Path:
    return _FOLDER / f"{name}.env"


def _pair(one: str, other: str) -> str:
    return "|".join(sorted((one, other)))


def _chosen(count: int) -> tuple[str, ...]:
    if not 2 <= count <= len(NAMES):
        raise StackError(f"N is 2 to {len(NAMES)}, not {count}")
    return NAMES[:count]
