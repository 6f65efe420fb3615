"""What is laid over docker-compose.yml: noted in .env, so that every later command knows it.

`compose/mail.yml` and files of the operator's own are among it if he put them there, and stay.
"""

from __future__ import annotations

import re
from pathlib import Path

from local.errors import StackError
from local.secrets import write_private

BASE = "docker-compose.yml"
KAFKA = "compose/kafka.yml"
OBSERVABILITY = "compose/observability.yml"
BUSES = ("redis", "kafka")
# Neither; Prometheus and Grafana; Prometheus alone.
OBSERVERS = ("0", "1", "prometheus")
GRAFANA = "grafana"


def choose(environment: Path, *, bus: str | None = None, observe: str | None = None) -> None:
    """Note in .env what is wanted; what is not mentioned stays as it is.

    Args:
        environment: .env, which is there.
        bus: one of `BUSES`.
        observe: one of `OBSERVERS`.

    Raises:
        StackError: COMPOSE_FILE begins with another file than docker-compose.yml.
    """
    text = environment.read_text("utf-8")
    overlays = _overlays(environment, text)
    profiles = [each for each in _value(text, "COMPOSE_PROFILES").split(",") if each]
    if bus is not None:
        overlays = _with(overlays, KAFKA, bus == "kafka")
    if observe is not None:
        overlays = _with(overlays, OBSERVABILITY, observe != "0")
        profiles = _with(profiles, GRAFANA, observe == "1")
    wanted = _noted(text, "COMPOSE_FILE", ":".join([BASE, *overlays] if overlays else []))
    wanted = _noted(wanted, "COMPOSE_PROFILES", ",".join(profiles))
    if wanted != text:
        write_private(environment, wanted)


def _overlays(environment: Path, text: str) -> list[str]:
    named = _value(text, "COMPOSE_FILE")
    base, *overlays = named.split(":") if named else [BASE]
    if base != BASE:
        raise StackError(
            f"COMPOSE_FILE in {environment} is your own: begin it with {BASE}, or add {KAFKA} or"
            f" {OBSERVABILITY} to it instead of BUS= and OBSERVE="
        )
    return overlays


def _with(names: list[str], name: str, wanted: bool) -> list[str]:
    """A name added in front, so that what the operator has of his own is laid over it."""
    if wanted:
        return names if name in names else [name, *names]
    return [each for each in names if each != name]


def _value(text: str, name: str) -> str:
    found = re.search(rf"(?m)^{name}=(.*)$", text)
    return found[1] if found else ""


def _noted(text: str, name: str, value: str) -> str:
    if _value(text, name) == value:
        return text
    others = re.sub(rf"(?m)^{name}=.*\n?", "", text)
    return others + (f"{name}={value}\n" if value else "")
