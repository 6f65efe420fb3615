"""`python -m local COMMAND`: what the Makefile calls."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; a failure is told in plain words and gives 1."""
    options = _parse(arguments)
    try:
        return _run(options)
    except KeyboardInterrupt:
        return 130


def _run(options: argparse.Namespace) -> int:
    # Imported only now: this takes a while, in which a Ctrl-C must be answered as well.
    from local import commands
    from local.errors import StackError
    from local.progress import Progress
    from local.report import show_failure
    from local.settings import read_settings

    try:
        match options.command:
            case "logs":
                return commands.logs(options.process)
            case "branches":
                from local import branches

                return branches.run(options.count)
            case "demo-branches":
                from local import branches_demo

                return branches_demo.run()
            case "audit" if options.all:
                from local import branches

                return branches.audit(read_settings())
            case "backup":
                return commands.backup(options.folder)
            case "restore":
                return commands.restore(options.folder, force=options.force, closed=options.closed)
        every = {
            "run": commands.run,
            "stop": commands.stop,
            "status": commands.status,
            "audit": commands.audit,
        }
        return every[options.command]()
    except StackError as error:
        show_failure(Progress().console, error)
        return 1


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local", description=__doc__)
    every = parser.add_subparsers(dest="command", required=True)
    every.add_parser("run", help="start everything and stay until Ctrl-C")
    every.add_parser("stop", help="end everything that runs in this clone")
    every.add_parser(
        "status", help="show the processes, their memory, and whether the shop is open"
    )
    audit = every.add_parser("audit", help="prove the stock and payment invariants")
    audit.add_argument("--all", action="store_true", help="of all branches, and between them")
    branches = every.add_parser("branches", help="start several branches on this machine")
    branches.add_argument("count", type=int, nargs="?", default=3)
    every.add_parser("demo-branches", help="play the scenarios of branches, with figures")
    backup = every.add_parser("backup", help="copy everything while the shop is open")
    backup.add_argument("folder", type=Path, help="where the backup gets its folder")
    restore = every.add_parser("restore", help="put a backup where the next start finds it")
    restore.add_argument("folder", type=Path, help="the folder of the backup")
    restore.add_argument("--force", action="store_true", help="over data that is there")
    restore.add_argument("--closed", action="store_true", help="only in containers")
    logs = every.add_parser("logs", help="follow the logs")
    logs.add_argument("process", nargs="?", help="only of this process")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
