"""`python -m local.compose up|down|audit`: what `make up` does around Docker Compose.

Needs Docker and the standard library: nothing is installed for it.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from local import compose_secrets
from local.errors import StackError
from local.purchase import Shopper

REPOSITORY = Path(__file__).resolve().parent.parent
ENVIRONMENT = REPOSITORY / ".env"
_OPERATOR_EMAIL = "operador@feira.local"
_CUSTOMER_EMAIL = "cliente@feira.local"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; a failure is told in plain words and gives 1."""
    parser = argparse.ArgumentParser(prog="python -m local.compose", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("up", help="build and start everything, wait until it sells")
    down_parser = commands.add_parser("down", help="remove the containers and networks")
    down_parser.add_argument("--volumes", action="store_true", help="the data too")
    commands.add_parser("audit", help="prove the stock and payment invariants")
    options = parser.parse_args(arguments)
    try:
        if options.command == "up":
            return up()
        return down(volumes=options.volumes) if options.command == "down" else audit()
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def up() -> int:
    """Make the secrets on first use, start, buy something, and say where everything is."""
    began = time.monotonic()
    _ensure_secrets()
    if _compose("up", "--detach", "--build", "--wait", "--remove-orphans"):
        _compose("ps", "--all")
        raise StackError(
            "not every container became healthy: docker compose logs SERVICE tells why"
        )
    project = _project()
    address = _address(8080)
    orders = project["services"]["orders-seed"]["environment"]
    print("Buying something, to see that the shop is open", flush=True)
    Shopper(f"http://{address}", orders["PROBE_PASSWORD"]).buy_and_undo()
    _check(
        "the trace of that purchase could not be removed",
        *("run", "--rm", "--no-deps", "--quiet-pull", "orders-migrate", "forget-probe"),
    )
    _show(address, _address(8443), orders)
    print(f"Open after {time.monotonic() - began:.0f} s. `make down` ends it, the data stays.")
    return 0


def down(*, volumes: bool) -> int:
    """Remove containers and networks, and the volumes if asked."""
    if not ENVIRONMENT.exists():
        raise StackError(f"{ENVIRONMENT} is missing: put it back, or make up was never run here")
    return _compose("--profile", "*", "down", "--remove-orphans", *(["--volumes"] * volumes))


def audit() -> int:
    """Prove the invariants from a container on the databases' networks."""
    return _compose("run", "--rm", "--no-deps", "--quiet-pull", "audit")


def _ensure_secrets() -> None:
    """Complete .env. Raises StackError if it has gone while data made with it is there."""
    text = ENVIRONMENT.read_text("utf-8") if ENVIRONMENT.exists() else ""
    complete = compose_secrets.completed(text)
    if complete == text:
        ENVIRONMENT.chmod(0o600)
        return
    scratch = ENVIRONMENT.with_name(".env.made")
    compose_secrets.write_private(scratch, complete)
    try:
        if not text and (volumes := _existing_volumes(scratch)):
            raise StackError(
                f"{ENVIRONMENT} is missing, but the data made with it is there: put the file back,"
                f" or start afresh with `docker volume rm {' '.join(volumes)}`"
            )
        scratch.replace(ENVIRONMENT)
    finally:
        scratch.unlink(missing_ok=True)
    print(f"Made up the secrets that were missing in {ENVIRONMENT}", flush=True)


def _existing_volumes(environment: Path) -> list[str]:
    volumes = _project("--env-file", str(environment))["volumes"].values()
    wanted = {volume["name"] for volume in volumes}
    return sorted(wanted & set(_output("docker", "volume", "ls", "--quiet").split()))


def _project(*options: str) -> dict[str, Any]:
    """docker-compose.yml as Compose understands it, with every variable in its place."""
    text = _output("docker", "compose", *options, "config", "--format", "json")
    project: dict[str, Any] = json.loads(text)
    return project


def _address(port: int) -> str:
    """Where a port of the gateway is published: host:port."""
    host, _, published = _output("docker", "compose", "port", "gateway", str(port)).rpartition(":")
    everywhere = host in ("0.0.0.0", "[::]", "127.0.0.1")  # noqa: S104 (as Compose says it)
    return f"{'localhost' if everywhere else host}:{published}"


def _show(address: str, tls_address: str, orders: dict[str, str]) -> None:
    rows = [("", "HTTP", "HTTPS (own certificate)")]
    for what, path in (("shop", "/"), ("API", "/docs"), ("state of all", "/status")):
        rows.append((what, f"http://{address}{path}", f"https://{tls_address}{path}"))
    rows += [("", "", ""), ("account", "role", "password")]
    rows.append((orders["ADMIN_EMAIL"], "admin", orders["ADMIN_PASSWORD"]))
    if orders["SEED_DEMO"].lower() in ("1", "true", "yes", "on"):
        rows.append((_OPERATOR_EMAIL, "operator", orders["DEMO_PASSWORD"]))
        rows.append((_CUSTOMER_EMAIL, "customer", orders["DEMO_PASSWORD"]))
    widths = [max(len(row[column]) for row in rows) for column in range(3)]
    for row in rows:
        cells = (cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        print("  ".join(cells).rstrip())
    print(f"\nAll secrets: {ENVIRONMENT}")


def _compose(*arguments: str) -> int:
    """Run Compose with its output on ours; its exit status."""
    sys.stdout.flush()
    try:
        return subprocess.run(
            ["docker", "compose", *arguments], cwd=REPOSITORY, check=False
        ).returncode
    except FileNotFoundError:
        raise StackError("docker is not installed") from None


def _check(complaint: str, *arguments: str) -> None:
    if _compose(*arguments):
        raise StackError(complaint)


def _output(*command: str) -> str:
    try:
        done = subprocess.run(
            command, cwd=REPOSITORY, check=False, stdout=subprocess.PIPE, text=True
        )
    except FileNotFoundError:
        raise StackError("docker is not installed") from None
    if done.returncode:
        raise StackError(f"`{' '.join(command[:4])}` ended with {done.returncode}")
    return done.stdout.strip()


if __name__ == "__main__":
    sys.exit(main())
