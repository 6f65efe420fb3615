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

_RANGE = 32
_claims: list[socket.socket] = []


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


def free_ports() -> dict[str, int]:
    """A port for every port setting, below those that outgoing connections use.

    They are of a range of their own until this process ends: whoever else asks at the same time,
    and has not taken theirs yet either, gets others.
    """
    while True:
        first = random.randrange(20_000, 32_000, _RANGE)
        if claim := _claim(first):
            free = [port for port in range(first + 1, first + _RANGE) if _is_free(port)]
            if len(free) >= len(PORTS):
                _claims.append(claim)
                return dict(zip(PORTS, free, strict=False))
            claim.close()


def _claim(port: int) -> socket.socket | None:
    """A socket that nobody else can have as long as it is open."""
    claim = socket.socket()
    try:
        claim.bind(("127.0.0.1", port))
        claim.listen(1)
    except OSError:
        claim.close()
        return None
    return claim


def _is_free(port: int) -> bool:
    return _why_not("127.0.0.1", port) is None
