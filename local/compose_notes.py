"""What is to be known of a command that was broken off: noted in Docker, beside what it changed.

A note is an empty volume with a label. It belongs to the project, whichever clone the next command
is given in, and outlives every process. `make down VOLUMES=1` removes it with all other volumes.
"""

from __future__ import annotations

from local import compose_engine as engine
from local.errors import StackError

RESTORE, UPGRADE = "restore", "upgrade"
_LABEL = "feira.note"


def read(kind: str) -> str | None:
    """The text of a note; None if there is none."""
    name = _name(kind)
    if name not in engine.output("docker", "volume", "ls", "--quiet").split():
        return None
    template = f'{{{{index .Labels "{_LABEL}"}}}}'
    return engine.output("docker", "volume", "inspect", "--format", template, name)


def write(kind: str, text: str) -> None:
    """Make a note, in place of one of its kind that there is."""
    remove(kind)
    label = f"com.docker.compose.project={engine.project()['name']}"
    options = (f"--label={label}", f"--label={_LABEL}={text}")
    engine.output("docker", "volume", "create", *options, _name(kind))


def remove(kind: str) -> None:
    """Forget a note, if there is one."""
    engine.output("docker", "volume", "rm", "--force", _name(kind))


def refuse_if_half_restored() -> None:
    """Raises StackError while a restore that was broken off has not been repeated."""
    folder = read(RESTORE)
    if folder is not None:
        raise StackError(
            f"a restore was broken off, and what is there is no shop: repeat it with `make restore"
            f" ON=compose FROM={folder}`, or delete what is there with `make down VOLUMES=1`"
        )


def _name(kind: str) -> str:
    return f"{engine.project()['name']}_{kind}-broken-off"
