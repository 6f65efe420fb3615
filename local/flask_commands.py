"""Runs commands of one service one after the other: `python -m local.flask_commands SERVICE`.

Reads a command per line and answers a line with its exit status. Loading a service takes
far longer than most of its commands, so a start loads it once, while the databases come up.
Imports nothing of this package: what it needs of Feira it is told by its environment.
"""

from __future__ import annotations

import os
import sys
import traceback
from importlib import import_module

import click
from flask.cli import cli


def main(service: str) -> None:
    """Serve until the end of the input. What commands print goes to the log, not to the caller."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    import_module(f"{service}.app")
    # What the first command loads by itself, which is `migrate`.
    import_module("chassis.migrations")
    for line in sys.stdin:
        print(_run(service, line.strip()), file=answers)


def _run(service: str, command: str) -> int:
    print(f"{command}:", flush=True)
    try:
        cli.main(["--app", f"{service}.app", *command.split()], standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except SystemExit as end:
        if isinstance(end.code, str):
            print(end.code)
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except Exception:
        traceback.print_exc()
        return 1
    return 0


if __name__ == "__main__":
    main(sys.argv[1])
