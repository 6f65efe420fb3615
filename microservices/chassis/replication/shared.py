"""Things that every branch may edit: the last writer wins, by logical clock and then by name.

Every branch that has seen the same edits has the same winner, in whatever order they came. An edit
names the one that it was made upon (its base): one that is made upon the current edit replaces it
and nothing is lost. Of two that were made without knowledge of each other, the smaller is kept in
the history.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import text

from chassis.clock import rfc3339

Execute = Callable[..., Any]
Document = Mapping[str, Any]


@dataclass(frozen=True)
class Edit:
    """Who edited, when by the logical clock, and upon which edit."""

    lamport: int
    branch: str
    base_lamport: int = 0
    base_branch: str = ""

    @property
    def stamp(self) -> tuple[int, str]:
        """What edits are ordered by."""
        return self.lamport, self.branch

    @property
    def base(self) -> tuple[int, str]:
        """The stamp of the edit that this one was made upon."""
        return self.base_lamport, self.base_branch

    def document(self) -> dict[str, Any]:
        """The edit as events carry it."""
        return {
            "lamport": self.lamport,
            "branch": self.branch,
            "base_lamport": self.base_lamport,
            "base_branch": self.base_branch,
        }

    @classmethod
    def read(cls, document: Any) -> Edit:
        """An edit out of an event; without one it is older than any. Raises ValueError."""
        if not document:
            return FIRST
        values = cls(**document)
        for number in (values.lamport, values.base_lamport):
            if type(number) is not int or not 0 <= number < 2**53:
                raise ValueError("edit: not a logical time")
        if not isinstance(values.branch, str) or not isinstance(values.base_branch, str):
            raise ValueError("edit: not a branch")
        return values


# What was there before anybody edited it, such as the demo shop: any edit wins over it.
FIRST = Edit(0, "")


def find(execute: Execute, kind: str, key: str) -> Edit:
    """The last edit of a thing."""
    row = execute(text(_FIND), {"kind": kind, "key": key}).one_or_none()
    return Edit(*row) if row else FIRST


def edited_here(execute: Execute, kind: str, key: str, branch: str) -> Edit:
    """Note an edit of this branch, in the transaction that makes it; the thing must be locked."""
    before = find(execute, kind, key)
    lamport = execute(text("SELECT nextval('lamport')")).scalar()
    edit = Edit(lamport, branch, before.lamport, before.branch)
    _note(execute, kind, key, edit)
    _see(execute, kind, key, edit)
    return edit


def wins(
    execute: Execute,
    thing: tuple[str, str],
    edit: Edit,
    document: Document,
    current: Callable[[], Document | None],
) -> bool:
    """Decide whether an edit of another branch replaces what is here, and keep the loser.

    Of two that ask for the same thing at once, the second waits for the first's transaction.

    Args:
        execute: of the transaction that will write the winner.
        thing: its kind and its key, by which every branch knows it.
        edit, document: what came, without what is known in its branch only.
        current: locks and reads what is here, or None.
    """
    kind, key = thing
    # The thing before its stamp, as whoever edits it here takes them.
    current()
    execute(text(_PLACE), {"kind": kind, "key": key})
    known = Edit(*execute(text(_FIND + " FOR UPDATE"), {"kind": kind, "key": key}).one())
    here = current()
    new = _see(execute, kind, key, edit)
    if here is None:
        _note(execute, kind, key, edit)
        return True
    if not new:
        return False
    same = document == here
    if edit.stamp > known.stamp:
        if known != FIRST and edit.base != known.stamp and not same:
            _keep(execute, kind, key, known, here, edit)
        _note(execute, kind, key, edit)
        return not same
    if not same and edit.stamp != known.base:
        _keep(execute, kind, key, edit, document, known)
    return False


def lost(execute: Execute, kind: str, key: str) -> list[dict[str, Any]]:
    """Edits of a thing that lost against a concurrent one, the newest first."""
    rows = execute(text(_LOST), {"kind": kind, "key": key})
    return [
        {
            "edit": {"lamport": row.lamport, "branch": row.branch},
            "lost_to": {"lamport": row.winner_lamport, "branch": row.winner_branch},
            "at": rfc3339(row.at),
            "document": row.document,
        }
        for row in rows
    ]


def _see(execute: Execute, kind: str, key: str, edit: Edit) -> bool:
    """Note that an edit is known here; False when it was, or is older than all."""
    if edit.stamp == FIRST.stamp:
        return False
    row = {"kind": kind, "key": key, "lamport": edit.lamport, "branch": edit.branch}
    return execute(text(_SEE), row).one_or_none() is not None


def _note(execute: Execute, kind: str, key: str, edit: Edit) -> None:
    execute(text(_NOTE), {"kind": kind, "key": key, **edit.document()})


def _keep(
    execute: Execute, kind: str, key: str, loser: Edit, document: Document, winner: Edit
) -> None:
    execute(
        text(_KEEP),
        {
            "kind": kind,
            "key": key,
            "lamport": loser.lamport,
            "branch": loser.branch,
            "document": json.dumps(document, ensure_ascii=False),
            "winner_lamport": winner.lamport,
            "winner_branch": winner.branch,
        },
    )


_FIND = """
SELECT lamport, branch, base_lamport, base_branch FROM shared_stamps
WHERE kind = :kind AND key = :key
"""
_PLACE = """
INSERT INTO shared_stamps VALUES (:kind, :key, 0, '', 0, '') ON CONFLICT DO NOTHING
"""
_NOTE = """
INSERT INTO shared_stamps
VALUES (:kind, :key, :lamport, :branch, :base_lamport, :base_branch)
ON CONFLICT (kind, key) DO UPDATE SET lamport = EXCLUDED.lamport, branch = EXCLUDED.branch,
    base_lamport = EXCLUDED.base_lamport, base_branch = EXCLUDED.base_branch
"""
_KEEP = """
INSERT INTO lost_edits VALUES (:kind, :key, :lamport, :branch, CAST(:document AS jsonb),
    :winner_lamport, :winner_branch) ON CONFLICT DO NOTHING
"""
_SEE = """
INSERT INTO seen_edits VALUES (:kind, :key, :lamport, :branch)
ON CONFLICT DO NOTHING RETURNING lamport
"""
_LOST = """
SELECT lamport, branch, document, winner_lamport, winner_branch, at FROM lost_edits
WHERE kind = :kind AND key = :key ORDER BY lamport DESC, branch DESC LIMIT 100
"""
