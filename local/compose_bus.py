"""Which event bus the containers have: noted in .env, so that every later command knows it."""

from __future__ import annotations

import re
from pathlib import Path

from local.errors import StackError
from local.secrets import write_private

OVERLAYS = {"redis": "", "kafka": "docker-compose.yml:compose/kafka.yml"}
_LINE = re.compile(r"(?m)^COMPOSE_FILE=(.*)\n?")


def choose(environment: Path, bus: str) -> None:
    """Note the bus in .env.

    Args:
        environment: .env, which is there.
        bus: `redis` or `kafka`.

    Raises:
        StackError: COMPOSE_FILE says something of the operator's own.
    """
    text = environment.read_text("utf-8")
    found = _LINE.search(text)
    if found and found[1] not in OVERLAYS.values():
        raise StackError(
            f"COMPOSE_FILE in {environment} is your own: "
            "add compose/kafka.yml to it, or take it out, instead of BUS="
        )
    others = _LINE.sub("", text)
    overlay = OVERLAYS[bus]
    wanted = others + (f"COMPOSE_FILE={overlay}\n" if overlay else "")
    if wanted != text:
        write_private(environment, wanted)
