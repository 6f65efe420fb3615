"""The mark of a restore that has begun: while it stands, the data folder holds no shop."""

from __future__ import annotations

from pathlib import Path

from local.backup_files import sync
from local.errors import StackError
from local.settings import Settings


def begin(settings: Settings, folder: Path) -> None:
    """Set the mark, before anything is deleted; it names the backup."""
    mark = _mark(settings)
    mark.write_text(f"{folder}\n", "utf-8")
    for each in (mark, mark.parent):
        sync(each)


def end(settings: Settings) -> None:
    """Take the mark away: all is back."""
    _mark(settings).unlink()
    sync(_mark(settings).parent)


def broken_off(settings: Settings) -> bool:
    """Whether a restore has begun and not ended."""
    return _mark(settings).exists()


def refuse(settings: Settings) -> None:
    """Raises StackError if a restore has begun and not ended."""
    if broken_off(settings):
        folder = _mark(settings).read_text("utf-8").strip()
        raise StackError(
            "a restore was broken off, and what is there is no shop: repeat it with `make restore"
            f" FROM={folder}`, or delete {settings.data} and {_mark(settings)} for an empty one"
        )


def _mark(settings: Settings) -> Path:
    return settings.feira_home / "restoring"
