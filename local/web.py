"""Port checks for the start of the stack."""

from __future__ import annotations

import random
import socket

import psutil

from local.errors import StackError
from local.settings import PORTS, Settings

# Setting to the process that listens there, for messages.
USERS = {name: name.removesuffix("_port").replace("_", "-") for name in PORTS}
USERS |= {"port": "gateway", "tls_port": "gateway"}
USERS |= {"patroni_1_port": "postgres-1", "patroni_2_port": "postgres-2"}
USERS |= {"etcd_1_port": "etcd", "etcd_2_port": "etcd"}


def check_ports(settings: Settings) -> None:
    """Raise StackError for the first port that somebody else has."""
    for name, port in settings.ports.items():
        address = settings.listen_address if name in ("port", "tls_port") else "127.0.0.1"
        reason = _why_not(address, port)
        if reason:
            hint = "" if name == "port" else ", or PORT, which moves all of them"
            raise StackError(
                f"{reason}; set {name.upper()} to another one{hint}",
                process=USERS[name],
            )


def _why_not(address: str, port: int) -> str | None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family) as probe:
        # As the servers do; connections of a stopped stack that still linger are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
            # Some systems let a second one bind while nobody listens yet.
            probe.listen(1)
        except PermissionError:
            return f"port {port} is not permitted to this user"
        except OSError:
            return f"port {port} on {address} is busy{_held_by(port)}"
    return None


def _held_by(port: int) -> str:
    try:
        for each in psutil.net_connections("tcp"):
            if (
                each.status == psutil.CONN_LISTEN
                and getattr(each.laddr, "port", 0) == port
                and each.pid
            ):
                return f" (held by process {each.pid}, {psutil.Process(each.pid).name()})"
    except psutil.Error:
        pass
    return ""


def free_ports(share: int = 0, shares: int = 1) -> dict[str, int]:
    """A free port for every port setting, below those that outgoing connections use.

    Args:
        share, shares: which of so many disjoint sets to choose from, for those who choose at
            the same time and have not taken theirs yet.
    """
    ports: list[int] = []
    while len(ports) < len(PORTS):
        port = random.randrange(20000 + share, 32000, shares)
        if port not in ports and _why_not("127.0.0.1", port) is None:
            ports.append(port)
    return dict(zip(PORTS, ports, strict=True))
