"""Several branches in containers on one machine: one Compose project for each."""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations
from pathlib import Path

from local import branch_books
from local import compose_engine as engine
from local.branch_books import Read
from local.compose_overlays import BASE
from local.errors import StackError
from local.secrets import write_private

NAMES = ("matriz", "filial", "litoral", "serra", "sertao")
OVERLAY = "compose/branches.yml"
PORT, TLS_PORT, STEP = 8080, 8443, 100
_FOLDER = engine.REPOSITORY / ".feira" / "compose-branches"
_RECOVERY_SECONDS = 120.0
# They stay in files: whoever lists the processes sees only where those are.
_SECRETS = ("REPLICA_TOKEN", "REPLICA_TOKENS", "SERVICE_TOKEN")


def up(count: int, port: int) -> int:
    """Start the branches, one after the other, and say where they are."""
    chosen = _chosen(count)
    engine.ensure_secrets()
    project = engine.project()["name"]
    network = _network(project)
    if network not in engine.output("docker", "network", "ls", "--format", "{{.Name}}").split():
        engine.output("docker", "network", "create", "--internal", network)
    for name in chosen:
        print(f"branch {name}", flush=True)
        _write(name, chosen, port, project)
        if _run(name, "up") and not (_recovers(name) and _run(name, "up") == 0):
            raise StackError(
                f"branch {name} did not start; the same command again goes on, with DOWN=1 it"
                " removes what there is"
            )
    print("\nbranch   HTTP                    HTTPS (own certificate)")
    for name in chosen:
        told = _told(name)
        print(f"{name:8} http://localhost:{told['PORT']:6} https://localhost:{told['TLS_PORT']}")
    print(
        "\nThe accounts are the same at each. `make audit ON=compose ALL=1` checks the books, for"
        f" one branch:\ndocker compose --env-file .env --env-file {_file(chosen[0])} logs"
    )
    return 0


def down(count: int, *, volumes: bool) -> int:
    """Remove the containers of the branches, and their data if asked."""
    engine.require_environment()
    options = ["--volumes"] * volumes
    there = [name for name in _chosen(count) if _file(name).exists()]
    failed = [name for name in there if _run(name, "down", *options)]
    for name in set(there) - set(failed) if volumes else ():
        _file(name).unlink()
    if not failed and not any(_runs(name) for name in NAMES):
        engine.output("docker", "network", "rm", "--force", _network(engine.project()["name"]))
    return 1 if failed else 0


def audit() -> int:
    """Prove the books of every branch and those between them; 0 if all hold, else 1.

    Raises StackError if a branch is not there: its books cannot be read then.
    """
    known = [name for name in NAMES if _file(name).exists()]
    if missing := [name for name in known if not _runs(name)]:
        raise StackError(f"{', '.join(missing)}: not running, so its books cannot be read")
    if not known:
        raise StackError("no branches run in containers; `make branches ON=compose` starts them")
    broken = 0
    for name in known:
        print(f"branch {name}", flush=True)
        broken += _run(name, "audit")

    def read() -> dict[str, Read]:
        with ThreadPoolExecutor() as pool:
            return dict(zip(known, pool.map(_read, known), strict=True))

    broken += branch_books.audit(read)
    return 1 if broken else 0


def _recovers(name: str) -> bool:
    """Whether what did not become healthy in time does so after all.

    Beside the branches that run, a container that is slow may pass for one that is dead.
    """
    command = ("docker", "compose", "ps", "--all", "--format", "{{.Health}}")
    limit = time.monotonic() + _RECOVERY_SECONDS
    while "unhealthy" in engine.output(*compose(name), *command).split():
        if time.monotonic() > limit:
            return False
        time.sleep(2)
    return True


def _read(name: str) -> Read:
    command = ("docker", "compose", "run", "--rm", "--no-deps", "--no-TTY", "--quiet-pull")
    return Read.of(json.loads(engine.output(*compose(name), *command, "audit", "books")))


def variables(
    name: str, chosen: tuple[str, ...], port: int, tokens: dict[str, str], project: str
) -> str:
    """What one branch is told, as lines of an env file.

    Args:
        tokens: of each pair of branches (`filial|matriz`), and of each branch for itself.
        project: the beginning of the names of all branches' projects.
    """
    number = NAMES.index(name)
    others = [other for other in chosen if other != name]
    values = {
        "COMPOSE_PROJECT_NAME": f"{project}-{name}",
        "COMPOSE_FILE": f"{BASE}:{OVERLAY}",
        "BRANCHES_NETWORK": _network(project),
        # Every check is a process: so many containers need not be asked so often.
        "HEALTH_INTERVAL": "10s",
        "NODE_NAME": name,
        "PORT": str(port + STEP * number),
        "TLS_PORT": str(port + TLS_PORT - PORT + STEP * number),
        # A token of one branch says nothing to another: neither accounts nor services are shared.
        "JWT_ISSUER": f"feira-{name}",
        "JWT_AUDIENCE": f"feira-{name}",
        "SERVICE_TOKEN": tokens[name],
        "PEERS": ",".join(f"{other}=http://{other}.branches:8080" for other in others),
        "REPLICA_TOKENS": ",".join(f"{other}={tokens[_pair(name, other)]}" for other in others),
    }
    return "".join(f"{key}={value}\n" for key, value in values.items())


def compose(name: str) -> tuple[str, ...]:
    """The beginning of a command for one branch's project, whatever this shell is told."""
    files = f"{engine.ENVIRONMENT},{_file(name)}"
    given = {key: value for key, value in _told(name).items() if key not in _SECRETS}
    told = [f"{key}={value}" for key, value in given.items()]
    return ("env", *(f"--unset={key}" for key in _SECRETS), f"COMPOSE_ENV_FILES={files}", *told)


def _network(project: str) -> str:
    return f"{project}-branches"


def _write(name: str, chosen: tuple[str, ...], port: int, project: str) -> None:
    _FOLDER.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = _FOLDER / "tokens.json"
    known: dict[str, str] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    wanted = [*chosen, *(_pair(*each) for each in combinations(chosen, 2))]
    tokens = {each: secrets.token_hex(24) for each in wanted} | known
    write_private(path, json.dumps(tokens))
    write_private(_file(name), variables(name, chosen, port, tokens, project))


def _told(name: str) -> dict[str, str]:
    lines = _file(name).read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines)


def _runs(name: str) -> bool:
    if not _file(name).exists():
        return False
    command = ("docker", "compose", "ps", "--all", "--quiet", "gateway")
    return engine.output(*compose(name), *command) != ""


def _run(name: str, *arguments: str) -> int:
    command = [*compose(name), sys.executable, "-m", "local.compose", *arguments]
    return subprocess.run(command, cwd=engine.REPOSITORY, check=False).returncode


def _file(name: str) -> Path:
    return _FOLDER / f"{name}.env"


def _pair(one: str, other: str) -> str:
    return "|".join(sorted((one, other)))


def _chosen(count: int) -> tuple[str, ...]:
    if not 2 <= count <= len(NAMES):
        raise StackError(f"N is 2 to {len(NAMES)}, not {count}")
    return NAMES[:count]
