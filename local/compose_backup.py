"""`make backup ON=compose`: a copy of everything, taken while the shop is open.

The order of the copies is what makes them fit together. A restored database is where its copy
*ended*. Orders ends before the catalog does, so that no order is restored whose stock the catalog
does not know of; what the catalog knows beyond that can be given back. Both Redis come first: an
event of the streams is then of an order that is restored too, and what the databases sent after
that is sent again, from the positions that were noted before.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from local import backup_files
from local import compose_engine as engine
from local import compose_notes as notes
from local.errors import StackError

CLUSTERS = ("orders", "catalog")
REDIS = ("redis-carts", "redis-streams")
_JOB_SECONDS = 120.0
# Redis' own advice for copying its append-only files: no rewrite at work, and none may begin. What
# was acknowledged is in the files as soon as the buffer before them is empty.
_COPY_REDIS = """\
set -eu
trap 'redis-cli config set auto-aof-rewrite-percentage 100 >/dev/null' EXIT
trap 'exit 1' HUP INT TERM
redis-cli config set auto-aof-rewrite-percentage 0 >/dev/null
tries=0
until [ "$(redis-cli info persistence | tr -d '\\r' | grep -cxE \
'aof_rewrite_in_progress:0|aof_rewrite_scheduled:0|aof_buffer_length:0')" = 3 ]; do
    tries=$((tries + 1))
    [ "$tries" -lt 600 ] || { echo 'Redis does not stop rewriting its log' >&2; exit 1; }
    sleep 0.1
done
# It grows meanwhile (tar says so with 1): what is copied is its beginning, which Redis can load.
tar -C /data -cz --warning=no-file-changed appendonlydir || [ $? = 1 ]
"""


def backup(parent: Path) -> int:
    """Make a backup in a folder of its own below `parent`; nothing is left of one that fails."""
    engine.require_environment()
    notes.refuse_if_half_restored()
    folder = backup_files.new_folder(parent)
    began = time.monotonic()
    try:
        manifest = {"stack": "compose", "began_at": backup_files.now()}
        complete = backup_files.complete(folder, manifest | _copy(folder))
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    size = sum(file.stat().st_size for file in complete.iterdir())
    print(f"{complete}: {size / 1e6:.1f} MB in {time.monotonic() - began:.0f} s")
    print("It holds personal data and password hashes, but none of the secrets in .env.")
    return 0


def _copy(folder: Path) -> dict[str, Any]:
    databases = json.loads(_job("position"))
    for server in REDIS:
        file = folder / f"{server}.tar.gz"
        _stream(file, server, "exec", "-T", server, "sh", "-c", _COPY_REDIS)
        backup_files.prove_append_only_file(file)
    positions: dict[str, dict[str, Any]] = {}
    hosts = nodes()
    for cluster in CLUSTERS:
        file = folder / f"{cluster}.tar.gz"
        _stream(file, cluster, *_RUN, "base-backup", ",".join(hosts[cluster]))
        positions[cluster] = {"at": backup_files.now()}
    # Only now: what is between the ends of the two copies should be little.
    for cluster in CLUSTERS:
        positions[cluster] |= backup_files.prove_base_backup(folder / f"{cluster}.tar.gz")
    return {"ended_at": backup_files.now(), "databases": databases, "clusters": positions}


_RUN = ("run", "--rm", "--no-deps", "--no-TTY", "--quiet-pull")


def _job(name: str) -> str:
    return engine.output("docker", "compose", *_RUN, name, seconds=_JOB_SECONDS)


def nodes() -> dict[str, list[str]]:
    """The services that are nodes of each cluster, the first one first."""
    found: dict[str, list[str]] = {}
    for name, service in sorted(engine.project()["services"].items()):
        scope = (service.get("environment") or {}).get("SCOPE")
        if scope:
            found.setdefault(scope, []).append(name)
    if set(found) != set(CLUSTERS):
        raise StackError(f"the clusters are {sorted(found)}, expected {sorted(CLUSTERS)}")
    return found


def _stream(file: Path, what: str, *arguments: str) -> None:
    began = time.monotonic()
    engine.stream_out(file, _shown(what), *arguments)
    size = file.stat().st_size / 1e6
    print(f"\r{what}: {size:.1f} MB in {time.monotonic() - began:.1f} s", flush=True)


def _shown(what: str) -> Callable[[int], None]:
    """Shows how far a copy has come, where somebody looks on."""
    last = 0.0

    def show(count: int) -> None:
        nonlocal last
        if sys.stdout.isatty() and time.monotonic() - last > 0.5:
            last = time.monotonic()
            print(f"\r{what}: {count / 1e6:.1f} MB", end="", flush=True)

    return show
