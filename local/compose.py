"""`python -m local.compose COMMAND`: what `make up` and its companions do around Docker Compose.

Needs Docker and the standard library: nothing is installed for it.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from local import compose_branches, compose_overlays
from local import compose_engine as engine
from local import compose_notes as notes
from local.compose_backup import backup
from local.compose_restore import restore
from local.compose_upgrade import upgrade
from local.errors import StackError
from local.purchase import CLOSED, Shopper

_OPERATOR_EMAIL = "operador@feira.local"
_CUSTOMER_EMAIL = "cliente@feira.local"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; a failure is told in plain words and gives 1."""
    options = _parse(arguments)
    try:
        match options.command:
            case "up":
                if options.bus or options.observe:
                    engine.ensure_secrets()
                    compose_overlays.choose(
                        engine.ENVIRONMENT, bus=options.bus, observe=options.observe
                    )
                return up("--build")
            case "branches":
                if options.down:
                    return compose_branches.down(options.count, volumes=options.volumes)
                return compose_branches.up(options.count, options.port)
            case "down":
                return down(volumes=options.volumes)
            case "audit":
                return compose_branches.audit() if options.all else audit()
            case "upgrade":
                return upgrade()
            case "backup":
                return backup(options.folder)
            case _:
                return restore_and_open(options.folder, options.force, options.closed)
    except StackError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.compose", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    up_parser = commands.add_parser("up", help="build and start everything, wait until it sells")
    up_parser.add_argument(
        "--bus", choices=compose_overlays.BUSES, help="the event bus from now on"
    )
    up_parser.add_argument(
        "--observe",
        choices=compose_overlays.OBSERVERS,
        help="1: with Prometheus and Grafana, prometheus: without Grafana, 0: without both",
    )
    down_parser = commands.add_parser("down", help="remove the containers and networks")
    down_parser.add_argument("--volumes", action="store_true", help="the data too")
    branches = commands.add_parser("branches", help="start several branches, a project for each")
    branches.add_argument("count", type=int)
    branches.add_argument("--port", type=int, default=compose_branches.PORT, help="of the first")
    branches.add_argument("--down", action="store_true", help="remove them")
    branches.add_argument("--volumes", action="store_true", help="with --down: the data too")
    audit_parser = commands.add_parser("audit", help="prove the stock and payment invariants")
    audit_parser.add_argument("--all", action="store_true", help="of all branches, between them")
    commands.add_parser("upgrade", help="replace what runs by the version in this clone")
    backup_parser = commands.add_parser("backup", help="copy everything while the shop is open")
    backup_parser.add_argument("folder", type=Path, help="where the backup gets its folder")
    restore_parser = commands.add_parser("restore", help="put a backup back and open the shop")
    restore_parser.add_argument("folder", type=Path, help="the folder of the backup")
    restore_parser.add_argument("--force", action="store_true", help="over data that is there")
    restore_parser.add_argument("--closed", action="store_true", help="do not open the shop")
    return parser.parse_args(arguments)


def up(*options: str) -> int:
    """Make the secrets on first use, start, buy something, and say where everything is."""
    began = time.monotonic()
    engine.ensure_secrets()
    notes.refuse_if_half_restored()
    # From here on there are as many instances as .env says, whatever an upgrade was about to do.
    notes.remove(notes.UPGRADE)
    if engine.run("up", "--detach", *options, "--wait", "--remove-orphans"):
        engine.run("ps", "--all")
        raise StackError(
            "not every container became healthy: docker compose logs SERVICE tells why"
        )
    address = engine.address(8080)
    orders = engine.project()["services"]["orders-seed"]["environment"]
    print("Buying something, to see that the shop is open", flush=True)
    if not Shopper(f"http://{address}", orders["PROBE_PASSWORD"]).buy_and_undo():
        print(CLOSED)
    engine.check(
        "the trace of that purchase could not be removed",
        *("run", "--rm", "--no-deps", "--quiet-pull", "orders-migrate", "forget-probe"),
    )
    _show(address, engine.address(8443), orders)
    print(f"Open after {time.monotonic() - began:.0f} s. `make down` ends it, the data stays.")
    return 0


def down(*, volumes: bool) -> int:
    """Remove containers and networks, and the volumes if asked."""
    engine.require_environment()
    options = ("--remove-orphans", *(["--volumes"] * volumes))
    engine.check("not all could be removed", "--profile", "*", "down", *options)
    # Of an overlay that is chosen no longer, such as another bus, Compose does not know.
    for kind in ("network", *(["volume"] * volumes)):
        engine.remove_all(kind)
    for kind in [notes.UPGRADE, *[notes.RESTORE] * volumes]:
        notes.remove(kind)
    return 0


def audit() -> int:
    """Prove the invariants from a container on the databases' networks."""
    engine.require_environment()
    return engine.run("run", "--rm", "--no-deps", "--quiet-pull", "audit")


def restore_and_open(folder: Path, force: bool, closed: bool) -> int:
    """Put a backup back, open the shop unless it shall stay closed, and prove the invariants."""
    restore(folder, force=force)
    if closed:
        print("Restored, and nobody is let in: `make up` opens the shop.")
        return 0
    return up("--no-build") or audit()


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
    print(f"\nAll secrets: {engine.ENVIRONMENT}")


if __name__ == "__main__":
    sys.exit(main())
