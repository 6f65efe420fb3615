"""Writes the reference of all settings: `python -m local.reference > docs/settings.md`.

A setting is defined once, with name, type, default and description; a test compares the page with
what this module would write now.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings

from local.settings import REPOSITORY, GatewaySettings, Settings

SERVICES = ("catalog", "cart", "orders")
# What the page says above each table.
NOTES = {
    "stack": "Given to `make run`, as variables of the environment or after the target.",
    "gateway": "Limits of the gateway, given to `make run` in the same way.",
    "common": "Every service is told these. `make run` sets names, secrets and addresses; any"
    " other setting of a service that is given to `make run` reaches the services as it is.",
}
_HEAD = """\
# Settings

Written by `python -m local.reference` from the settings classes; a test keeps it true. Do not edit
it by hand.

Every setting is an environment variable. One that is required and missing, or not acceptable,
stops the start with one line that names it. An empty variable counts as not set for `make run`.

```sh
make run PORT=9080 CACHE_SECONDS=5 CHECKOUT_DEADLINE_SECONDS=5
```
"""
_GUNICORN = """\

## gunicorn

Read by `microservices/gunicorn.conf.py`, for each of a service's instances.

| variable | type | default | what it is |
|---|---|---|---|
| `BIND` | text | `127.0.0.1:8000` | Address and port that the instance listens on. |
| `WORKERS` | integer | `1` | Worker processes. |
| `THREADS` | integer | `16` | Threads of each worker: requests that it serves at once. |
| `PROMETHEUS_MULTIPROC_DIR` | text | not set | Folder in which several workers share metrics. |
"""


def render() -> str:
    """The whole page."""
    sys.path.insert(0, str(REPOSITORY / "microservices"))
    try:
        common = import_module("chassis.settings").ServiceSettings
        services = {name: import_module(f"{name}.settings").Settings for name in SERVICES}
    finally:
        sys.path.pop(0)
    parts = [
        _HEAD,
        _section("The embedded stack", NOTES["stack"], Settings, GatewaySettings),
        _section("The gateway", NOTES["gateway"], GatewaySettings),
        _section("All services", NOTES["common"], common),
        *(
            _section(name.capitalize(), _note(settings), settings, common)
            for name, settings in services.items()
        ),
    ]
    return "\n".join(part.rstrip("\n") + "\n" for part in parts) + _GUNICORN


def _note(settings: type[BaseSettings]) -> str:
    return f"`{settings.__module__}.{settings.__name__}`, beside those of all services."


def _section(
    title: str, note: str, settings: type[BaseSettings], parent: type[BaseSettings] | None = None
) -> str:
    """One table: the fields of a class that are not its parent's already."""
    inherited = parent.model_fields if parent else {}
    schema = settings.model_json_schema()["properties"]
    rows = [
        f"| `{name.upper()}` | {_type(schema[name])} | {_default(field)} | {_sentence(field)} |"
        for name, field in settings.model_fields.items()
        if name not in inherited
    ]
    head = ["| variable | type | default | what it is |", "|---|---|---|---|"]
    return "\n".join([f"## {title}", "", note, "", *head, *rows])


def _type(schema: dict[str, Any]) -> str:
    """The type and its bounds in words, out of a JSON schema."""
    options = schema.get("anyOf", [schema])
    found = next(one for one in options if one.get("type") != "null")
    name = {"string": "text", "object": "JSON object"}.get(found["type"], str(found["type"]))
    least, most = found.get("minimum"), found.get("maximum")
    bounds = {
        f", {least} to {most}": least is not None and most is not None,
        f", {least} or more": least is not None and most is None,
        f", above {found.get('exclusiveMinimum')}": "exclusiveMinimum" in found,
        f", at most {most}": least is None and most is not None,
        f", {found.get('minLength')} characters or more": "minLength" in found,
    }
    return name + "".join(words for words, apply in bounds.items() if apply)


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "**required**"
    value = field.get_default(call_default_factory=True)
    if isinstance(value, Path):
        # Not where this clone happens to be.
        value = value.relative_to(REPOSITORY)
    if value is None:
        return "not set"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def _sentence(field: FieldInfo) -> str:
    text = (field.description or "").replace("|", "\\|")
    return text if text.endswith(".") else f"{text}."


if __name__ == "__main__":
    sys.stdout.write(render())
