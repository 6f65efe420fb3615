"""The rules of the house, checked on the source (`lint-imports` checks who may import whom too)."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from local.settings import REPOSITORY

MICROSERVICES = REPOSITORY / "microservices"
SERVICES = ("catalog", "cart", "orders")
MOST_LINES = 300
MOST_LINES_OF_A_FUNCTION = 40
# Longer than asked for. Say why, or split it.
LONG_FILES: dict[str, str] = {
    "local/postgres.py": "one server's whole life: made, configured, cloned, followed",
}
LONG_FUNCTIONS: dict[str, str] = {
    "microservices/orders/checkout.py:_opened": "an order's fields and a statement's, one a line",
}
# Beside `settings.py`: what reads the environment, and why it may.
READS_ENVIRONMENT = {
    "microservices/gunicorn.conf.py": "gunicorn's own settings",
    "microservices/healthcheck.py": "asks the service that runs beside it; needs its port only",
    "local/settings.py": "the settings of the embedded stack",
    "local/install.py": "runs before anything is installed; hands the environment on",
    "local/launch.py": "becomes a process; hands the environment on",
    "loadtests/load.py": "may be given the password of an operator of another shop",
}
# In a service, what may know Flask: HTTP, the commands, and where the running app's parts are.
KNOWS_FLASK = {
    "app": SERVICES,
    "commands": SERVICES,
    "ports": SERVICES,
    "routes": SERVICES,
    "service_routes": ("catalog",),
    "replica_routes": ("catalog", "orders"),
    "images": ("catalog",),
    "produtos": ("catalog",),
    "carrinho": ("cart",),
    "auth_routes": ("orders",),
    "user_routes": ("orders",),
    "counter_routes": ("orders",),
    # Where a browser keeps the refresh token.
    "refresh_cookie": ("orders",),
    # The request, to tell an absent body from an empty one.
    "schemas": ("cart",),
    # Where the running app keeps its counts.
    "login_limit": ("orders",),
}
# Beside `*routes.py`: the Portuguese contract and the pictures.
OTHER_ROUTES = {"produtos.py", "carrinho.py", "images.py"}
# A route that tries: it gives another word to what a function shared with the others refuses.
MAY_TRY = {"microservices/catalog/produtos.py:mudar_estoque"}
METHODS = {"get", "post", "put", "patch", "delete"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


def name_of(path: Path) -> str:
    return path.relative_to(REPOSITORY).as_posix()


SOURCES = sorted(
    path
    for folder in ("microservices", "local", "loadtests")
    for path in (REPOSITORY / folder).rglob("*.py")
)
ROUTES = [
    path
    for path in SOURCES
    if path.parent.name in SERVICES and (path.stem.endswith("routes") or path.name in OTHER_ROUTES)
]


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def functions(path: Path) -> Iterator[Function]:
    """Every function of a file, those inside of others too."""
    return (each for each in ast.walk(tree_of(path)) if isinstance(each, Function))


def imported(path: Path) -> set[str]:
    """The packages and modules that a file imports, anywhere in it."""
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name_of(path)}: imports are absolute"
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def packages(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


def test_the_tree_is_the_one_that_the_documents_describe() -> None:
    folders = {path.name for path in REPOSITORY.iterdir() if path.is_dir()}
    assert {"microservices", "nginx", "local", "tests", "docs", "requirements"} <= folders
    files = {path.name for path in REPOSITORY.iterdir() if path.is_file()}
    assert {"README.md", "LICENSE", "Makefile", "pyproject.toml"} <= files
    rooms = {path.name for path in MICROSERVICES.iterdir() if (path / "__init__.py").exists()}
    assert rooms == {"chassis", *SERVICES}


@pytest.mark.parametrize("service", SERVICES)
def test_every_service_has_the_same_parts_in_the_same_places(service: str) -> None:
    parts = ["app", "commands", "ports", "problems", "routes", "schemas", "settings", "settlement"]
    expected = {f"{part}.py" for part in parts if (service, part) != ("orders", "settlement")}
    found = {path.name for path in (MICROSERVICES / service).glob("*.py")}
    assert expected <= found
    has_tables = (MICROSERVICES / service / "models.py").exists()
    assert has_tables == (MICROSERVICES / service / "migrations").exists()


def test_a_file_of_300_lines_asks_to_be_split() -> None:
    long = {
        name_of(path) for path in SOURCES if len(path.read_text("utf-8").splitlines()) > MOST_LINES
    }
    assert long <= set(LONG_FILES)


def test_a_function_of_40_lines_asks_to_be_split() -> None:
    long = {
        f"{name_of(path)}:{function.name}": length(function)
        for path in SOURCES
        for function in functions(path)
        if length(function) > MOST_LINES_OF_A_FUNCTION
    }
    assert {name: lines for name, lines in long.items() if name not in LONG_FUNCTIONS} == {}


def length(function: Function) -> int:
    """Lines from the first statement to the last; what is said of it and its arguments is free."""
    body = function.body[1:] if ast.get_docstring(function, clean=False) else function.body
    return (function.end_lineno or 0) - body[0].lineno + 1 if body else 0


def test_the_environment_is_read_in_settings_only() -> None:
    readers = {name_of(path) for path in SOURCES if reads_environment(path)}
    assert readers <= set(READS_ENVIRONMENT)


def reads_environment(path: Path) -> bool:
    return any(
        isinstance(node, ast.Attribute)
        and isinstance(node.value, ast.Name)
        and (node.value.id, node.attr) in {("os", "environ"), ("os", "getenv"), ("os", "environb")}
        for node in ast.walk(tree_of(path))
    ) or bool({"os.environ", "os.getenv"} & imported(path))


def test_a_service_imports_no_other_and_the_chassis_none() -> None:
    wrong = {
        name_of(path): others
        for home in ("chassis", *SERVICES)
        for path in (MICROSERVICES / home).rglob("*.py")
        if (others := packages(path) & set(SERVICES) - {home})
    }
    assert wrong == {}


def test_business_does_not_know_flask() -> None:
    wrong = {
        name_of(path)
        for service in SERVICES
        for path in (MICROSERVICES / service).rglob("*.py")
        if any(name.startswith(("flask", "werkzeug")) for name in packages(path))
        and service not in KNOWS_FLASK.get(path.stem, ())
    }
    assert wrong == set()


def test_routes_are_where_they_are_looked_for() -> None:
    makes_routes = {
        name_of(path)
        for service in SERVICES
        for path in (MICROSERVICES / service).rglob("*.py")
        if {"flask_openapi3.APIBlueprint", "flask.Blueprint"} & imported(path)
    }
    assert makes_routes == {name_of(path) for path in ROUTES}


@pytest.mark.parametrize("path", ROUTES, ids=name_of)
def test_routes_translate_http_and_nothing_else(path: Path) -> None:
    assert "sqlalchemy" not in packages(path)
    trying = {
        f"{name_of(path)}:{function.name}"
        for function in functions(path)
        if any(isinstance(node, ast.Try | ast.TryStar) for node in ast.walk(function))
    }
    assert trying <= MAY_TRY
    sql = [text for text in strings(path) if text.startswith(("SELECT ", "INSERT ", "UPDATE "))]
    assert sql == []


def strings(path: Path) -> Iterator[str]:
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value.strip()


@pytest.mark.parametrize("path", ROUTES, ids=name_of)
def test_every_route_says_who_may_call_it(path: Path) -> None:
    routes = {
        function.name: [decorator(each) for each in function.decorator_list]
        for function in functions(path)
        if any(decorator(each) in METHODS for each in function.decorator_list)
    }
    assert routes
    # Below the route's own decorator, or the mark would be on another function than is served.
    unmarked = {name for name, decorators in routes.items() if decorators[-1] != "allow"}
    assert unmarked == set()


def decorator(node: ast.expr) -> str:
    function = node.func if isinstance(node, ast.Call) else node
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
