"""The start, and what the containers may and may not do (promises 39 and 40)."""

from __future__ import annotations

import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from local.compose_secrets import MAKERS
from tests.docker.project import NAME, OWN_IMAGES, SETTINGS, Project
from tests.load import report
from tests.shop import Shop

SERVICES = {
    *("gateway", "certificate", "etcd", "redis-carts", "redis-streams"),
    *("catalog-db-1", "catalog-db-2", "orders-db-1"),
    *("catalog", "catalog-background", "catalog-migrate", "catalog-seed"),
    *("cart", "cart-background"),
    *("orders", "orders-background", "orders-worker", "orders-migrate", "orders-seed"),
    "prometheus",
}
MEBIBYTE = 2**20
# Prometheus on this machine's own address only.
PUBLISHED = ("gateway", "prometheus")


def test_compose_refuses_to_start_without_secrets(clone: Path, stack: Project) -> None:
    command = ("docker", "compose", "--env-file", "/dev/null", "up", "--detach")
    done = stack.attempt(*command)
    assert done.returncode != 0
    assert "is required, run make up or see .env.example" in done.stdout


def test_the_configuration_is_clean(stack: Project) -> None:
    assert stack.compose("config", "--quiet") == ""


def test_the_secrets_are_for_their_owner_only(stack: Project) -> None:
    assert stat.S_IMODE((stack.folder / ".env").stat().st_mode) == 0o600


def test_a_purchase_goes_through(shop: Shop) -> None:
    product = shop.new_product(stock=5)
    order = shop.buy(shop.new_user(), (product["id"], 2))
    assert order["status"] == "confirmed"
    assert shop.stock(product["id"]) == 3


def test_the_audit_holds(stack: Project) -> None:
    assert "audit: all hold" in stack.make("audit", "ON=compose")


@pytest.mark.promise(39)
def test_every_container_is_as_little_privileged_as_can_be(stack: Project) -> None:
    found = stack.inspect()
    assert found.keys() == SERVICES
    every = {service: lacking(service, each) for service, each in found.items()}
    assert {service: rules for service, rules in every.items() if rules} == {}


def lacking(service: str, each: dict[str, Any]) -> list[str]:
    """The rules of least privilege that a container does not keep, as Docker describes it."""
    host = each["HostConfig"]
    rules = {
        "user": each["Config"]["User"] not in ("", "0", "root"),
        "read-only root": host["ReadonlyRootfs"],
        "no capabilities": host["CapDrop"] == ["ALL"] and not host["CapAdd"],
        "no new privileges": "no-new-privileges:true" in host["SecurityOpt"],
        "memory limit": 0 < host["Memory"] <= 1024 * MEBIBYTE,
        "pids limit": 0 < (host["PidsLimit"] or 0) <= 400,
        "not privileged": not host["Privileged"],
        "no bind mounts": not host["Binds"]
        and all(mount["Type"] == "volume" for mount in each["Mounts"]),
        "publishes ports only if it is to": (service in PUBLISHED)
        == any(host["PortBindings"] or {}),
    }
    return [rule for rule, holds in rules.items() if not holds]


@pytest.mark.promise(39)
@pytest.mark.parametrize("service", ["catalog", "gateway", "catalog-db-1", "etcd", "redis-carts"])
def test_no_process_is_root_or_can_write_to_its_image(stack: Project, service: str) -> None:
    uid = stack.compose("exec", "-T", service, "id", "-u").strip()
    assert uid.isdigit() and uid != "0"
    done = stack.attempt("docker", "compose", "exec", "-T", service, "touch", "/etc/mark")
    assert "Read-only file system" in done.stdout


def test_a_service_reaches_the_stores_that_are_its_own_and_no_other(stack: Project) -> None:
    script = (
        "import socket, sys\n"
        "def reach(name, port):\n"
        "    try: socket.create_connection((name, port), 3).close(); return True\n"
        "    except OSError: return False\n"
        "names = [('catalog-db-1', 5432), ('orders-db-1', 5432), ('redis-carts', 6379),\n"
        "         ('redis-streams', 6379), ('etcd', 2379), ('catalog-db-1', 8008)]\n"
        "print([name for name, port in names if reach(name, port)])"
    )
    reached = {
        service: stack.compose("exec", "-T", service, "python", "-c", script).splitlines()[-1]
        for service in ("catalog", "cart", "orders")
    }
    assert reached == {
        # The last one is Patroni's interface, which changes nothing without its password.
        "catalog": "['catalog-db-1', 'redis-streams', 'catalog-db-1']",
        "cart": "['redis-carts', 'redis-streams']",
        "orders": "['orders-db-1', 'redis-streams']",
    }


def test_a_health_check_fails_when_the_answer_is_not_200(stack: Project) -> None:
    command = ("docker", "compose", "exec", "-T", "-e", "BIND=:5999", "catalog")
    check = ("python", "-IS", "/app/healthcheck.py")
    assert stack.attempt(*command, *check).returncode == 1
    assert stack.attempt("docker", "compose", "exec", "-T", "catalog", *check).returncode == 0


@pytest.mark.promise(40)
def test_no_secret_is_in_an_image_or_a_log(stack: Project, tmp_path: Path) -> None:
    values = stack.values
    patterns = tmp_path / "patterns"
    patterns.write_text("".join(f"{values[name]}\n" for name in MAKERS))
    images = [f"feira/{name}:{SETTINGS['IMAGE_TAG']}" for name in OWN_IMAGES]
    # Every layer and every image's history and environment, as one stream.
    assert occurrences(["docker", "image", "save", *images], patterns, stack) == 0
    assert occurrences(["docker", "compose", "logs", "--no-color"], patterns, stack) == 0
    names = [line for line in stack.docker("ps", "--format", "{{.Names}}").split() if NAME in line]
    for name in names:
        arguments = stack.docker("top", name, "-eo", "pid,args")
        assert not [secret for secret in patterns.read_text().split() if secret in arguments], name


def occurrences(command: list[str], patterns: Path, stack: Project) -> int:
    """Lines of a command's output in which one of the patterns is."""
    with subprocess.Popen(
        command, cwd=stack.folder, env=stack.environment, stdout=subprocess.PIPE
    ) as source:
        search = ["grep", "--text", "--count", "--fixed-strings", f"--file={patterns}"]
        found = subprocess.run(search, stdin=source.stdout, stdout=subprocess.PIPE, check=False)
    assert source.returncode == 0
    return int(found.stdout)


def test_the_size_of_the_images(stack: Project) -> None:
    bases = {"gateway": "nginx:1.30", "postgres": "postgres:15-bookworm"}
    bases |= {"etcd": "debian:bookworm-slim", "prometheus": "prom/prometheus:v2.55.1"}
    added = {}
    for name in OWN_IMAGES:
        image = f"feira/{name}:{SETTINGS['IMAGE_TAG']}"
        base = bases.get(name, "python:3.11-slim-bookworm")
        sizes = [
            int(stack.docker("image", "inspect", "--format", "{{.Size}}", each))
            for each in (image, base)
        ]
        added[name] = (sizes[0] - sizes[1]) / 1e6
        report(f"{name:8} {sizes[0] / 1e6:6.0f} MB, {added[name]:4.0f} MB above {base}")
    assert max(added[name] for name in ("catalog", "cart", "orders", "tools", "gateway")) <= 100
