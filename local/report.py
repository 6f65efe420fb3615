"""What the commands print: addresses and accounts, the processes, the logs."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

from local.errors import StackError, last_lines
from local.http_call import call
from local.memory import family_bytes, pss_bytes
from local.progress import Progress
from local.secrets import secrets_file
from local.stack import Stack
from local.supervision import NAME as SUPERVISOR

OPERATOR_EMAIL = "operador@feira.local"
CUSTOMER_EMAIL = "cliente@feira.local"


def show_table(console: Console, stack: Stack) -> None:
    """Where everything is, and who may log in."""
    addresses = _table("What", "HTTP", "HTTPS (own certificate)")
    for what, path in (("shop", "/"), ("API", "/docs"), ("state of all", "/status")):
        addresses.add_row(what, f"{stack.url}{path}", f"{stack.tls_url}{path}")
    addresses.add_section()
    for name in stack.services.ports:
        addresses.add_row(name, stack.services.url(name))
    console.print(addresses)
    accounts = _table("Account", "Role", "Password")
    accounts.add_row(stack.settings.admin_email, "admin", stack.secrets.admin_password)
    if stack.settings.seed_demo:
        accounts.add_row(OPERATOR_EMAIL, "operator", stack.secrets.demo_password)
        accounts.add_row(CUSTOMER_EMAIL, "customer", stack.secrets.demo_password)
    console.print(accounts)
    console.print(f"All secrets: {secrets_file(stack.settings.feira_home)}")


def show_summary(progress: Progress, stack: Stack) -> None:
    """Time and memory that the start took."""
    took = progress.seconds
    total = _mebibytes(_total_bytes(stack))
    progress.say(f"Open after {took:.1f} s, {total} of memory. Ctrl-C or `make stop` ends it.")


def show_processes(console: Console, stack: Stack) -> None:
    """One line for each process, their memory in all, and whether the shop is open."""
    table = _table("Process", "State", "Role", "Pid", "Up", "Restarts", "Memory")
    for column in table.columns[3:]:
        column.justify = "right"
    spawned = stack.supervisor.spawned()
    for name, state in sorted(stack.supervisor.states().items()):
        restarts = max(0, spawned.get(name, 1) - 1)
        memory = _mebibytes(_bytes(stack, name, state.pid)) if state.pid else ""
        up = _duration(state.seconds) if state.pid else ""
        role = stack.cluster.role(name) if name in stack.cluster.nodes and state.pid else ""
        table.add_row(name, state.state, role, str(state.pid or ""), up, str(restarts), memory)
    supervisor = stack.supervisor.pid or 0
    table.add_row(
        SUPERVISOR,
        "RUNNING",
        "",
        str(supervisor),
        "",
        "0",
        _mebibytes(pss_bytes(supervisor)),
    )
    table.add_section()
    table.add_row("total", "", "", "", "", "", _mebibytes(_total_bytes(stack)))
    console.print(table)
    console.print(f"{stack.url}/health: {_health(stack)}")


def _health(stack: Stack) -> str:
    try:
        return str(call("GET", f"http://127.0.0.1:{stack.settings.port}/health", timeout=5).status)
    except OSError as error:
        return f"no answer ({error})"


def _bytes(stack: Stack, name: str, pid: int) -> int:
    """PSS of a process and of what it runs; PostgreSQL is no child of the Patroni that runs it."""
    node = name in stack.cluster.nodes
    return family_bytes(pid) + (family_bytes(stack.cluster.postmaster(name)) if node else 0)


def _total_bytes(stack: Stack) -> int:
    """PSS of the supervisor and of everything that it runs."""
    postmasters = sum(family_bytes(stack.cluster.postmaster(name)) for name in stack.cluster.nodes)
    return family_bytes(stack.supervisor.pid or 0) + postmasters


def show_failure(console: Console, error: StackError) -> None:
    """Who failed and why, and the last lines of the log."""
    console.print("error:", style="bold red", end=" ")
    console.print(str(error), markup=False)
    if error.log is None:
        return
    lines = last_lines(error.log)
    console.print(
        f"last lines of {error.log}:" if lines else f"{error.log} is empty",
        markup=False,
    )
    for line in lines:
        console.print(f"    {line}", markup=False)


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:.0f} MiB"


def _duration(seconds: int) -> str:
    hours, rest = divmod(seconds, 3600)
    minutes, seconds = divmod(rest, 60)
    return f"{hours}:{minutes:02}:{seconds:02}"


def _table(*columns: str) -> Table:
    table = Table()
    for column in columns:
        table.add_column(column, overflow="fold")
    return table
