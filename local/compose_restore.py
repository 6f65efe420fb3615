"""`make restore ON=compose FROM=FOLDER`: from a backup to an open shop.

Each cluster begins anew with the copy as the data of its first node, on a timeline of its own and
with the passwords of the present .env; the other nodes copy the first. No secret of the system that
was backed up is needed.
"""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from local import backup_files, compose_backup
from local import compose_engine as engine
from local import compose_notes as notes
from local.errors import StackError

_UP = ("up", "--detach", "--no-build", "--wait")
_RUN = ("run", "--rm", "--no-deps", "--no-TTY", "--quiet-pull")
_JOB_SECONDS = 120.0
# It gives back the stock of one order after the other.
_RECONCILE_SECONDS = 1800.0
# Deleted with everything that is not the gateway's certificate.
_KEPT = {"gateway-tls"}


def restore(folder: Path, *, force: bool) -> dict[str, Any]:
    """Put a backup back, up to services that could serve: the gateway and the background stay away.

    From the first deletion on, until all is back, a note stands that keeps everybody else away.

    Args:
        force: over a system that has data, all of which is deleted. What an earlier restore has
            left half done needs no leave.

    Returns:
        The manifest of the backup.

    Raises StackError; what was there before is untouched unless the backup's files are all whole.
    """
    began = time.monotonic()
    manifest = backup_files.read(folder, "compose")
    copies = [
        backup_files.prove_base_backup(folder / f"{cluster}.tar.gz")
        for cluster in compose_backup.CLUSTERS
    ]
    _say(began, f"{folder.name} is whole: taken {manifest['began_at']} by {manifest['version']}")
    engine.ensure_secrets()
    volumes = _data_volumes()
    if volumes and not force and notes.read(notes.RESTORE) is None:
        raise StackError(
            f"there is data in {', '.join(volumes)}; FORCE=1 deletes it all and restores over it"
        )
    engine.check("the images could not be built", "build", "--quiet")
    _check_server(folder, copies)
    notes.write(notes.RESTORE, str(folder))
    _empty(volumes)
    _put_back(folder)
    _say(began, "unpacked, and proved against the manifest of each copy")
    first = [members[0] for members in compose_backup.nodes().values()]
    # Alone at first: whichever node comes first begins the cluster, and the others have nothing.
    engine.check("the restored databases did not become healthy", *_UP, *first)
    _say(began, "databases on their new timelines")
    _open_services()
    _say(began, "migrated, services ready")
    _close_stock(began)
    _reconcile(manifest)
    _say(began, "the databases agree")
    notes.remove(notes.RESTORE)
    return manifest


def _check_server(folder: Path, copies: list[dict[str, Any]]) -> None:
    """Raises StackError if the PostgreSQL of the image cannot read the copies."""
    command = ("--entrypoint", "postgres", "base-backup", "--version")
    said = engine.output("docker", "compose", *_RUN, *command, seconds=_JOB_SECONDS)
    for copy in copies:
        backup_files.check_server(folder, copy, said)


def _data_volumes() -> list[str]:
    kept = {engine.project()["volumes"][key]["name"] for key in _KEPT}
    return [name for name in engine.existing_volumes() if name not in kept]


def _empty(volumes: list[str]) -> None:
    """Stop everything and delete all data, what etcd knew of the clusters included."""
    engine.check(
        "the running system could not be stopped", "--profile", "*", "down", "--remove-orphans"
    )
    if volumes:
        engine.output("docker", "volume", "rm", *volumes)


def _put_back(folder: Path) -> None:
    for server in compose_backup.REDIS:
        unpack = ("--entrypoint", "tar", server, "-C", "/data", "-xz")
        engine.stream_in(folder / f"{server}.tar.gz", *_RUN, *unpack)
    for cluster, members in compose_backup.nodes().items():
        adopt = ("--entrypoint", "restore", members[0])
        engine.stream_in(folder / f"{cluster}.tar.gz", *_RUN, *adopt)


def _open_services() -> None:
    """Start the other nodes of the databases, and what serves; nobody gets in yet."""
    nodes = [node for members in compose_backup.nodes().values() for node in members]
    engine.check("the services did not become healthy", *_UP, *nodes, "catalog", "cart", "orders")


def _close_stock(began: float) -> None:
    """Have a branch among others sell nothing until those have said what it had done since."""
    if engine.project()["services"]["catalog"]["environment"]["PEERS"]:
        engine.check("the branch could not be closed", *_RUN, "catalog", "rejoin")
        _say(began, "closed until the other branches have said what this one had done since")


def _reconcile(manifest: dict[str, Any]) -> None:
    """Have the catalog and orders agree about what happened between their two copies."""
    given = json.dumps({"databases": manifest["databases"], "since": manifest["began_at"]})
    found = json.loads(
        engine.output(
            "docker", "compose", *_RUN, "reconcile", given=given, seconds=_RECONCILE_SECONDS
        )
    )
    print(
        f"Stock of {found['released']} orders that are not in the backup was given back; "
        f"{len(found['cancel'])} orders are cancelled again"
    )
    if found["cancel"]:
        engine.check(
            "orders could not be cancelled again", *_RUN, "orders", "cancel", *found["cancel"]
        )


def _say(began: float, text: str) -> None:
    print(f"{time.monotonic() - began:6.1f} s  {text}", flush=True)
