"""`make backup` and `make restore` of the stack that `make run` starts.

Both databases are in one cluster, so one base backup is of one moment. Both Redis are copied before
it: what the databases sent after that is sent again, from the positions that were noted first.
"""

from __future__ import annotations

import json
import shutil
import subprocess
import tarfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg2
from psycopg2.extras import PhysicalReplicationConnection
from redis import Redis
from redis.exceptions import RedisError

from local import backup_files, reconcile
from local.errors import StackError
from local.postgres import HOST, Cluster, binary
from local.progress import Silent
from local.settings import Settings
from local.stack import Stack

CLUSTER = "feira.tar.gz"
DATABASES = ("catalog", "orders")
_REWRITE_SECONDS = 60.0


def backup(stack: Stack, parent: Path, progress: Silent) -> Path:
    """Make a backup of a running stack below `parent`; nothing is left of one that fails."""
    folder = backup_files.new_folder(parent)
    try:
        began = backup_files.now()
        databases = {name: reconcile.position(stack.dsn("auditor", name)) for name in DATABASES}
        for name, url in stack.redis_urls.items():
            with progress.step(f"{name} copied"):
                file = folder / f"{name}.tar.gz"
                _copy_redis(url, stack.settings.data / name, file)
                backup_files.prove_append_only_file(file)
        with progress.step("PostgreSQL copied"):
            _copy_cluster(stack, folder / CLUSTER)
        with progress.step("The copy proved against its manifest"):
            position = backup_files.prove_base_backup(folder / CLUSTER)
        manifest = {
            "stack": "embedded",
            "began_at": began,
            "ended_at": backup_files.now(),
            "databases": databases,
            "clusters": {"feira": position},
        }
        return backup_files.complete(folder, manifest)
    except (psycopg2.Error, RedisError, OSError) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise StackError(f"the backup failed: {str(error).strip().splitlines()[0]}") from None
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise


def restore(settings: Settings, cluster: Cluster, folder: Path, force: bool) -> None:
    """Put a backup where the next start finds it. The stack must be stopped.

    Raises StackError if there is data and not `force`; what was there is untouched unless the
    backup's files are all whole.
    """
    manifest = backup_files.read(folder, "embedded")
    backup_files.prove_base_backup(folder / CLUSTER)
    if any(settings.data.iterdir()) and not force:
        raise StackError(f"there is data in {settings.data}; FORCE=1 deletes it and restores")
    for path in settings.data.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for file in sorted(folder.glob("redis-*.tar.gz")):
        _unpack(file, settings.data / file.name.removesuffix(".tar.gz"))
    # Last, and in one step: a start takes it over only when all is there.
    unpacked = cluster.restored.with_suffix(".unpacked")
    _unpack(folder / CLUSTER, unpacked)
    (unpacked / "patroni.dynamic.json").unlink(missing_ok=True)
    note = json.dumps(manifest["databases"])
    cluster.restored_note.write_text(note, "utf-8")
    unpacked.rename(cluster.restored)


def _copy_redis(url: str, data: Path, file: Path) -> None:
    """Copy the append-only files while no rewrite is at work and none may begin."""
    with closing(Redis.from_url(url, socket_timeout=5, decode_responses=True)) as redis:
        redis.config_set("auto-aof-rewrite-percentage", 0)
        try:
            limit = time.monotonic() + _REWRITE_SECONDS
            while not _at_rest(redis.info("persistence")):
                if time.monotonic() > limit:
                    raise StackError("Redis does not stop rewriting its log")
                time.sleep(0.05)
            file.touch(mode=0o600)
            with tarfile.open(file, "w:gz", compresslevel=1) as archive:
                for path in sorted(data.rglob("appendonly*")):
                    if path.is_file():
                        _add(archive, path, str(path.relative_to(data)))
        finally:
            redis.config_set("auto-aof-rewrite-percentage", 100)


def _at_rest(persistence: Any) -> bool:
    busy = ("aof_rewrite_in_progress", "aof_rewrite_scheduled", "aof_buffer_length")
    return not any(int(persistence[key]) for key in busy)


def _add(archive: tarfile.TarFile, path: Path, name: str) -> None:
    # It grows meanwhile: its beginning, as long as it is now, is what Redis can load.
    with path.open("rb") as source:
        archive.addfile(archive.gettarinfo(arcname=name, fileobj=source), source)


def _copy_cluster(stack: Stack, file: Path) -> None:
    """A base backup of the primary, as one compressed tar with its log and its manifest."""
    primary = stack.cluster.nodes[stack.cluster.primary()]
    file.touch(mode=0o600)
    connection = psycopg2.connect(
        host=HOST,
        port=primary.port,
        user="replicator",
        password=stack.secrets.replicator_password,
        connection_factory=PhysicalReplicationConnection,
    )
    command = [str(binary("pg_basebackup")), "--pgdata=-", "--format=tar", "--wal-method=fetch"]
    command += ["--gzip", "--compress=1", "--checkpoint=fast", "--manifest-checksums=SHA256"]
    command += ["--label=feira", "--no-password", "--host", HOST, "--port", str(primary.port)]
    command += ["--username", "replicator"]
    with closing(connection), connection.cursor() as cursor, file.open("wb") as target:
        # The log is fetched at the end: it must not be recycled before, as long as we are here.
        slot = f"backup_{time.time_ns()}"
        cursor.execute(f"CREATE_REPLICATION_SLOT {slot} TEMPORARY PHYSICAL RESERVE_WAL")
        done = subprocess.run(
            command,
            env={"PGPASSWORD": stack.secrets.replicator_password, "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            stdout=target,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    if done.returncode:
        raise StackError(f"pg_basebackup: {(done.stderr.splitlines() or ['failed'])[-1]}")


def _unpack(file: Path, folder: Path) -> None:
    folder.mkdir(mode=0o700)
    with tarfile.open(file, "r:gz") as archive:
        # Not in every Python 3.11; later ones ask for it.
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder, **safe)  # type: ignore[arg-type]  # noqa: S202 (our own, by its sum)
