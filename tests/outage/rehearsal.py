"""Orders under rehearsal: planned deaths, and a payment provider that does as its token says."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from local.settings import REPOSITORY
from local.stack import Stack
from tests.race.rig import kill, rows, wait_back
from tests.shop import Account

REQUESTS, BACKGROUND = "orders", "orders-background"
DOUBLE = "tests.outage.orders_double"


class Plans:
    """Where the processes of orders look for the point at which they shall die."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def die(self, process: str, point: str) -> None:
        """Plan the death of a process at a point."""
        fresh = self.folder / f".{process}"
        fresh.write_text(point, "utf-8")
        fresh.rename(self.folder / process)

    def carried_out(self, process: str) -> bool:
        """Whether its last plan was."""
        return not (self.folder / process).exists()


@contextmanager
def rehearsed(stack: Stack, plans: Path) -> Iterator[Plans]:
    """Both processes of orders run the double; in the end they run as they should again."""
    paths = [stack.settings.run / f"{name}.json" for name in (REQUESTS, BACKGROUND)]
    before = {path: path.read_text("utf-8") for path in paths}
    _begin_anew(stack, {path: _doubled(text, plans) for path, text in before.items()})
    try:
        yield Plans(plans)
    finally:
        _begin_anew(stack, before)


def _begin_anew(stack: Stack, texts: dict[Path, str]) -> None:
    """Have the launcher read this when the supervisor starts what was killed."""
    for path, text in texts.items():
        path.write_text(text, "utf-8")
    killed = {path.stem: kill(stack, path.stem) for path in texts}
    for name, pid in killed.items():
        wait_back(stack, name, pid, 30)


def _doubled(text: str, plans: Path) -> str:
    """What the launcher of a process reads, with the double in orders' place."""
    spec = json.loads(text)
    spec["command"] = [part.replace("orders.app", DOUBLE) for part in spec["command"]]
    spec["environment"]["PYTHONPATH"] += f":{REPOSITORY}"
    spec["environment"]["CRASH_PLANS"] = str(plans)
    # As in production; elsewhere in the tests they are made cheap.
    spec["environment"]["BCRYPT_ROUNDS"] = "12"
    return json.dumps(spec)


def unfinished(stack: Stack, *users: Account) -> list[str]:
    """The orders of these users whose saga has not ended."""
    query = "SELECT id FROM orders WHERE user_id = ANY (%s) AND step <> 'done'"
    return [row[0] for row in rows(stack, "orders", query, [user.id for user in users])]
