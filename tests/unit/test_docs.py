"""The documents say what the code does: names, routes, problems, settings, commands, links."""

from __future__ import annotations

import ast
import configparser
import dataclasses
import os
import re
import subprocess
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from flask_openapi3 import OpenAPI

from chassis.settings import ServiceSettings
from local import reference
from local.audit import BETWEEN
from local.audit_queries import CATALOG, ORDERS
from local.secrets import Secrets
from local.settings import PORTS, REPOSITORY

DOCS = REPOSITORY / "docs"
MICROSERVICES = REPOSITORY / "microservices"
PAGES = sorted([REPOSITORY / "README.md", *DOCS.rglob("*.md")])
API = (DOCS / "api.md").read_text("utf-8")
OPERATIONS = (DOCS / "operations.md").read_text("utf-8")
OBSERVABILITY = (DOCS / "observability.md").read_text("utf-8")
README = (REPOSITORY / "README.md").read_text("utf-8")
SECRET = "0123456789abcdef0123456789abcdef"
ADDRESSES = {
    "service_token": SECRET,
    "event_bus_url": "redis://127.0.0.1:1/0",
    "catalog_database_url": "postgresql://127.0.0.1:1/catalog",
    "orders_database_url": "postgresql://127.0.0.1:1/orders",
    "cart_redis_url": "redis://127.0.0.1:1/0",
    "catalog_url": "http://127.0.0.1:1",
    "cart_url": "http://127.0.0.1:1",
    "orders_url": "http://127.0.0.1:1",
    "jwt_private_key": "A" * 43,
}


def service(name: str) -> OpenAPI:
    """A service as it would start; it connects to nothing."""
    kind: type[ServiceSettings] = import_module(f"{name}.settings").Settings
    settings = kind(**{key: ADDRESSES[key] for key in kind.model_fields if key in ADDRESSES})
    app: OpenAPI = import_module(f"{name}.app").create_app(settings)
    return app


def shape(path: str) -> str:
    """A path whatever its parameters are called: `/api/carts/{}`."""
    return re.sub(r"<[^>]*>|\{[^}]*\}", "{}", path)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\(([^)\s]+)\)", without_code(page.read_text("utf-8")))
    broken = [target for target in targets if not leads_somewhere(page, target)]
    assert broken == []


def leads_somewhere(page: Path, target: str) -> bool:
    if re.match(r"[a-z]+:", target):
        return True
    path, _, anchor = unquote(target).partition("#")
    found = (page.parent / path).resolve() if path else page
    return found.exists() and (not anchor or anchor in anchors(found))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as the usual renderers make them."""
    titles = re.findall(r"(?m)^#+ (.+)$", without_code(page.read_text("utf-8"), inline=False))
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


def without_code(text: str, *, inline: bool = True) -> str:
    text = re.sub(r"(?ms)^```.*?^```$", "", text)
    return re.sub(r"`[^`\n]*`", "", text) if inline else text


def test_every_route_has_its_place_in_the_api_and_no_other_has() -> None:
    documented = re.findall(r"(?m)^### `([A-Z]+) (\S+)`$", API)
    served = {
        (method, shape(rule.rule))
        for name in ("catalog", "cart", "orders")
        for rule in service(name).url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    assert {(method, shape(path)) for method, path in documented} == served
    assert len(documented) == len(served), "documented twice"


def test_every_problem_is_in_the_api_with_its_status_and_no_other_is() -> None:
    table = API.partition("## Problems")[2].partition("\n## ")[0]
    documented = {
        (name, int(status))
        for names, status in re.findall(r"(?m)^\| ((?:`[a-z-]+`(?:, )?)+) \| (\d{3}) \|", table)
        for name in re.findall(r"`([a-z-]+)`", names)
    }
    assert documented == set(problems_of_services()) | set(problems_of_the_gateway())
    assert "`refused`" in table, "what the gateway says of any other status"


def problems_of_services() -> Iterator[tuple[str, int]]:
    """(slug, status) of every problem class, and of every refusal that a saga records."""
    for path in MICROSERVICES.glob("*/*.py"):
        text = path.read_text("utf-8")
        if "slug" in text:
            import_module(f"{path.parent.name}.{path.stem}")
        for call in ast.walk(ast.parse(text)):
            match call:
                case ast.Call(
                    func=ast.Name(id="_problem"),
                    args=[ast.Constant(value=int(status)), ast.Constant(value=str(slug)), *_],
                ):
                    yield slug, status
    waiting = [import_module("chassis.problems").Problem]
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if isinstance(kind.status, int):
            yield kind.slug, kind.status


def problems_of_the_gateway() -> Iterator[tuple[str, int]]:
    """(slug, status) of the errors that the gateway makes itself."""
    text = (REPOSITORY / "nginx/fragments/answers.conf").read_text("utf-8")
    table = text.partition("$problem_type {")[2].partition("}")[0]
    for status, slug in re.findall(r"(\d{3})\s+([a-z-]+);", table):
        yield slug, int(status)


def test_the_reference_of_settings_is_up_to_date() -> None:
    written = (DOCS / "settings.md").read_text("utf-8")
    assert written == reference.render(), (
        "renew it: .venv/bin/python -m local.reference > docs/settings.md"
    )


def test_the_reference_names_what_gunicorn_reads() -> None:
    text = (MICROSERVICES / "gunicorn.conf.py").read_text("utf-8")
    read = set(re.findall(r'os\.environ\.get\("([A-Z_]+)"', text))
    table = reference.render().partition("## gunicorn")[2]
    assert set(re.findall(r"(?m)^\| `([A-Z_]+)` \|", table)) == read


def test_every_command_of_make_is_in_the_readme_and_no_other_is() -> None:
    makefile = (REPOSITORY / "Makefile").read_text("utf-8")
    commands = set(re.findall(r"(?m)^([a-z-]+):[^#\n]*## ", makefile))
    assert set(re.findall(r"(?m)^\| `make ([a-z-]+)` \|", README)) == commands


def test_the_readme_asks_for_the_python_that_the_project_needs() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    wanted = re.findall(r"Python (\d+\.\d+) or newer", README)
    assert [f">={version}" for version in wanted] == [project["requires-python"]]


def test_every_secret_port_and_process_is_in_operations() -> None:
    names = {field.name.upper() for field in dataclasses.fields(Secrets)}
    names |= {name.upper() for name in PORTS}
    names |= {"catalog-1", "catalog-2", "cart", "orders", "gateway", "supervisor"}
    names |= {"postgres-1", "postgres-2", "etcd", "redis-carts", "redis-streams"}
    assert {name for name in names if f"`{name}`" not in OPERATIONS} == set()


def test_every_invariant_of_the_audit_is_in_operations() -> None:
    table = OPERATIONS.partition("## The audit")[2].partition("\n## ")[0]
    documented = set(re.findall(r"(?m)^\| ([^|]+?) \|", table)) - {"invariant", "---"}
    proved = {query.invariant for query in (*CATALOG, *ORDERS) if query.invariant}
    assert documented == proved | set(BETWEEN)
    numbers = {12: "twelve", 13: "thirteen", 14: "fourteen"}
    assert f"{numbers[len(documented)]} invariants" in README


def test_every_metric_is_documented_and_no_other_is() -> None:
    text = (MICROSERVICES / "chassis/metrics.py").read_text("utf-8")
    counters = re.findall(r'Counter\(\s*"(\w+)"', text)
    others = re.findall(r'(?:Histogram|Gauge)\(\s*"(\w+)"', text)
    made = {f"{name}_total" for name in counters} | set(others)
    assert made
    assert set(re.findall(r"(?m)^\| `(feira_\w+)` \|", OBSERVABILITY)) == made


def test_decisions_are_numbered_listed_and_complete() -> None:
    pages = sorted(path for path in (DOCS / "adr").glob("*.md") if path.name != "README.md")
    listed = re.findall(r"\[(\d+)\]\(([^)]+)\) \| (.+) \|", (DOCS / "adr/README.md").read_text())
    assert [page.name for page in pages] == [name for _, name, _ in listed]
    for number, (page, (listed_as, _, title)) in enumerate(zip(pages, listed, strict=True), 1):
        text = page.read_text("utf-8")
        assert (int(page.name[:4]), int(listed_as)) == (number, number)
        assert text.startswith(f"# {number}. {title}\n")
        headings = re.findall(r"(?m)^## (.+)$", text)
        assert headings == ["Context", "Decision", "Consequences"]


def tracked_files() -> list[Path]:
    """What a clone holds; in a copy without git, everything but what tools leave behind."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True)
        names = [name for name in done.stdout.split("\0") if name]
    except (OSError, subprocess.CalledProcessError):
        every = (path.relative_to(REPOSITORY) for path in REPOSITORY.rglob("*"))
        skipped = (".", "__pycache__")
        names = [str(p) for p in every if not any(part.startswith(skipped) for part in p.parts)]
    return [path for path in map(REPOSITORY.joinpath, names) if path.is_file()]


def package_index() -> list[str]:
    """The host that pip is told to install from here, unless it is everybody's."""
    found = [os.environ.get("PIP_INDEX_URL", "")]
    for path in (Path("/etc/pip.conf"), Path.home() / ".config/pip/pip.conf"):
        configuration = configparser.RawConfigParser()
        configuration.read(path)
        found.append(configuration.get("global", "index-url", fallback=""))
    hosts = {urlsplit(url).hostname for url in found if url}
    return sorted(host for host in hosts if host and host != "pypi.org")


def test_no_file_knows_where_this_clone_is_or_where_its_packages_came_from() -> None:
    home = [str(REPOSITORY)] if len(REPOSITORY.parts) > 2 else []
    revealing = re.compile("|".join([*map(re.escape, home + package_index()), "/home/[a-z]+/"]))
    found = {
        str(path.relative_to(REPOSITORY)): match[0]
        for path in tracked_files()
        if path != Path(__file__)
        and (match := revealing.search(path.read_text("utf-8", errors="replace")))
    }
    assert found == {}


@pytest.mark.parametrize("lock", sorted((REPOSITORY / "requirements").glob("*.txt")), ids=str)
def test_locks_name_no_registry(lock: Path) -> None:
    lines = lock.read_text("utf-8").splitlines()
    options = [line for line in lines if re.match(r"\s*--(?!hash=)", line) or "://" in line]
    assert options == []
