"""Several whole branches on one machine: each a stack of its own below `.feira/branches`."""

from __future__ import annotations

import json
import secrets
import time
from contextlib import suppress
from itertools import combinations
from pathlib import Path

from rich.console import Console
from rich.table import Table

from local import foreground, report
from local.errors import StackError
from local.launch import belongings
from local.progress import Progress
from local.secrets import load_secrets, secrets_file, write_private
from local.settings import Settings, read_settings
from local.stack import Stack

NAMES = ("matriz", "filial", "litoral", "serra", "sertao")
# Between the ports of one branch and those of the next.
STEP = 100
_WATCH_SECONDS = 1.0


def folder(settings: Settings) -> Path:
    """Where the branches of a clone live."""
    return settings.feira_home / "branches"


def names(settings: Settings) -> list[str]:
    """The branches that were ever started here, in order."""
    return [name for name in NAMES if secrets_file(folder(settings) / name).exists()]


def stacks(settings: Settings, count: int) -> list[Stack]:
    """The stacks of `count` branches, each of which knows the others; nothing is started."""
    chosen = NAMES[:count]
    tokens = _tokens(folder(settings), chosen)
    ports = {name: settings.port + STEP * number for number, name in enumerate(chosen)}
    found: list[Stack] = []
    for name in chosen:
        others = [other for other in chosen if other != name]
        home = folder(settings) / name
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if found:
            # One password for the demo, whichever branch it is tried at.
            first = found[0].secrets
            same = ("admin_password", "demo_password")
            load_secrets(home, {each: getattr(first, each) for each in same})
        mine = read_settings(
            feira_home=home,
            node_name=name,
            port=ports[name],
            peers=",".join(f"{other}=http://127.0.0.1:{ports[other]}" for other in others),
            replica_tokens=",".join(f"{other}={tokens[_pair(name, other)]}" for other in others),
            service_environment={"REPLICATION_RETRY_SECONDS": "0.5"} | settings.service_environment,
        )
        found.append(Stack(mine))
    return found


def recorded(settings: Settings) -> dict[str, Stack]:
    """The branches that run here, by name."""
    found = {}
    for name in names(settings):
        home = read_settings(feira_home=folder(settings) / name, node_name=name)
        if (stack := foreground.recorded(home)) is not None:
            found[name] = stack
    return found


def open_ones(settings: Settings) -> dict[str, Stack]:
    """The branches that run here and are open, by name.

    Raises StackError while some are starting or stopping: they are somebody else's then.
    """
    running = {name: stack for name, stack in recorded(settings).items() if stack.is_open()}
    busy = {name for name in names(settings) if any(belongings(folder(settings) / name))}
    if busy - running.keys():
        raise StackError(f"{', '.join(sorted(busy - running.keys()))}: starting, or not all there")
    return running


def run(count: int) -> int:
    """Start the branches, show where they are, and keep them until Ctrl-C."""
    if not 2 <= count <= len(NAMES):
        raise StackError(f"N is 2 to {len(NAMES)}, not {count}")
    base = read_settings()
    if running := open_ones(base):
        raise StackError(f"{', '.join(running)}: running already; `make stop` ends them")
    progress = Progress(base.feira_started)
    all_of_them = stacks(base, count)
    home = read_settings(feira_home=folder(base))
    home.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    with foreground.interruptible(*all_of_them), foreground.foreground(home):
        try:
            for stack in all_of_them:
                with progress.step(f"Branch {stack.settings.node_name} is open"):
                    stack.up()
            show(progress.console, all_of_them)
            progress.say("Ctrl-C or `make stop` ends them; `make audit ALL=1` checks the books.")
            _watch(all_of_them)
        except foreground.Interrupted:
            progress.say("\nStopping (press Ctrl-C again to stop at once)")
        finally:
            for stack in all_of_them:
                stack.down()
        progress.say("Stopped: no process of these branches is left.")
    return 0


def _watch(all_of_them: list[Stack]) -> None:
    """Return when somebody stopped one of them."""
    while all(stack.supervisor.reap() is None for stack in all_of_them):
        time.sleep(_WATCH_SECONDS)


def show(console: Console, all_of_them: list[Stack]) -> None:
    """Where each branch is, and who may log in at all of them."""
    table = Table()
    for column in ("Branch", "HTTP", "HTTPS (own certificate)"):
        table.add_column(column, overflow="fold")
    for stack in all_of_them:
        table.add_row(stack.settings.node_name, stack.url, stack.tls_url)
    console.print(table)
    console.print("At each: the shop at /, the API at /docs, the state of all at /status.")
    first = all_of_them[0]
    accounts = Table("Account", "Role", "Password")
    accounts.add_row(first.settings.admin_email, "admin", first.secrets.admin_password)
    accounts.add_row(report.OPERATOR_EMAIL, "operator", first.secrets.demo_password)
    accounts.add_row(report.CUSTOMER_EMAIL, "customer", first.secrets.demo_password)
    console.print(accounts)


def stop(settings: Settings, progress: Progress) -> bool:
    """Stop the branches of this clone, wherever they were started; whether there were any."""
    homes = [folder(settings) / name for name in names(settings)]
    if not any(any(belongings(home)) for home in homes):
        return False
    holder = foreground.foreground_process(read_settings(feira_home=folder(settings)))
    if holder is not None:
        with progress.step("Branches stopped by the `make branches` that held them"):
            holder.terminate()
            with suppress(Exception):
                holder.wait(timeout=90)
    for home in homes:
        if any(belongings(home)):
            mine = read_settings(feira_home=home, node_name=home.name)
            (foreground.recorded(mine) or Stack(mine)).down()
    return True


def audit(settings: Settings) -> int:
    """Prove the books of every branch and those between them; 0 if all hold, else 1."""
    running = recorded(settings)
    if not running:
        raise StackError("no branches run in this clone; `make branches` starts them")
    missing = [name for name in names(settings) if name not in running]
    if missing:
        raise StackError(f"{', '.join(missing)}: not running, so its books cannot be read")
    from local.audit_branches import Books
    from local.audit_branches import audit as check

    return check(
        [
            Books(name, stack.dsn("auditor", "catalog"), stack.dsn("auditor", "orders"))
            for name, stack in running.items()
        ]
    )


def _pair(one: str, other: str) -> str:
    return "|".join(sorted((one, other)))


def _tokens(home: Path, chosen: tuple[str, ...]) -> dict[str, str]:
    """One secret for each pair, made up once."""
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = home / "tokens.json"
    known: dict[str, str] = json.loads(path.read_text("utf-8")) if path.exists() else {}
    tokens = known | {
        pair: secrets.token_hex(24)
        for pair in (_pair(*each) for each in combinations(chosen, 2))
        if pair not in known
    }
    if tokens != known:
        write_private(path, json.dumps(tokens))
    return tokens
