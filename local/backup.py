"""`make backup` and `make restore` of the stack that `make run` starts.

Both databases are in one cluster, so one base backup is of one moment. Both Redis are copied before
it: what the databases sent after that is sent again, from the positions that were noted first.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tarfile
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import IO, Any

import psycopg2
from psycopg2.extras import PhysicalReplicationConnection
from redis import Redis
from redis.exceptions import RedisError

from local import backup_files, reconcile, restoring
from local.errors import StackError
from local.postgres import HOST, Cluster, binary
from local.progress import Silent
from local.settings import Settings
from local.stack import Stack

CLUSTER = "feira.tar.gz"
DATABASES = ("catalog", "orders")
_REWRITE_SECONDS = 60.0
_SAY_SECONDS = 10.0
# Of pg_basebackup: it begins with a checkpoint, which a busy disk takes a while for.
_SILENT_SECONDS = 120.0
_CONNECT_SECONDS = 10


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

    A mark stands from the first deletion on until all is back, and nothing starts meanwhile.

    Raises StackError if there is data and not `force`; what was there is untouched unless the
    backup's files are all whole and for this PostgreSQL.
    """
    manifest = backup_files.read(folder, "embedded")
    copy = backup_files.prove_base_backup(folder / CLUSTER)
    backup_files.check_server(folder, copy, _said(binary("postgres"), "--version"))
    force = force or restoring.broken_off(settings)
    if any(settings.data.iterdir()) and not force:
        raise StackError(f"there is data in {settings.data}; FORCE=1 deletes it and restores")
    restoring.begin(settings, folder)
    for path in settings.data.iterdir():
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    for file in sorted(folder.glob("redis-*.tar.gz")):
        _unpack(file, settings.data / file.name.removesuffix(".tar.gz"))
    unpacked = cluster.restored.with_suffix(".unpacked")
    _unpack(folder / CLUSTER, unpacked)
    (unpacked / "patroni.dynamic.json").unlink(missing_ok=True)
    note = json.dumps(manifest["databases"])
    cluster.restored_note.write_text(note, "utf-8")
    unpacked.rename(cluster.restored)
    os.sync()
    restoring.end(settings)


def _said(*command: Path | str) -> str:
    """What a program prints of itself."""
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=_SAY_SECONDS
    ).stdout


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
        connect_timeout=_CONNECT_SECONDS,
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
        _run_while_it_grows(command, stack.secrets.replicator_password, target)


def _run_while_it_grows(command: list[str], password: str, target: IO[bytes]) -> None:
    """Run pg_basebackup; raises StackError if it fails, or the file does not grow for long."""
    with subprocess.Popen(
        command,
        env={"PGPASSWORD": password, "LC_ALL": "C"},
        stdin=subprocess.DEVNULL,
        stdout=target,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        size, grew_at = 0, time.monotonic()
        try:
            while not _ended(running):
                if (now := os.fstat(target.fileno()).st_size) > size:
                    size, grew_at = now, time.monotonic()
                if time.monotonic() - grew_at > _SILENT_SECONDS:
                    raise StackError(f"pg_basebackup sent nothing for {_SILENT_SECONDS:.0f} s")
        finally:
            running.kill()
        assert running.stderr
        said = running.stderr.read().splitlines()
    if running.returncode:
        raise StackError(f"pg_basebackup: {(said or ['failed'])[-1]}")


def _ended(running: subprocess.Popen[str]) -> bool:
    with suppress(subprocess.TimeoutExpired):
        running.wait(0.2)
    return running.returncode is not None


def _unpack(file: Path, folder: Path) -> None:
    folder.mkdir(mode=0o700)
    with tarfile.open(file, "r:gz") as archive:
        # Not in every Python 3.11; later ones ask for it.
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(folder, **safe)  # type: ignore[arg-type]  # noqa: S202 (our own, by its sum)
