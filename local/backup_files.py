"""The folder of a backup: its manifest, and the proofs that its files are what they should be.

    backups/20261121T083210Z/
        manifest.json      what is in it: sizes, SHA-256 sums, versions, times, positions
        *.tar.gz           a base backup of each cluster, the append-only files of each Redis

Needs the standard library only.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import re
import tarfile
import tomllib
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from local.errors import StackError

REPOSITORY = Path(__file__).resolve().parent.parent
MANIFEST = "manifest.json"
FORMAT = 1
_CHUNK = 1 << 20
# What initdb gives a cluster unless it is told otherwise.
_SEGMENT_BYTES = 16 << 20


def new_folder(parent: Path) -> Path:
    """A folder for a backup that is being made, for its owner only; it ends in `.partial`."""
    folder = parent / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}.partial"
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        folder.mkdir(mode=0o700)
    except OSError as error:
        raise StackError(f"{folder} cannot be made: {error.strerror}") from None
    return folder


def complete(folder: Path, manifest: dict[str, Any]) -> Path:
    """Write the manifest and give the folder its final name, which means that all is there."""
    files = sorted(folder.iterdir())
    sums = {file.name: {"bytes": file.stat().st_size, "sha256": sha256(file)} for file in files}
    document = {"format": FORMAT, "version": version(), **manifest, "files": sums}
    path = folder / MANIFEST
    path.touch(mode=0o600)
    path.write_text(json.dumps(document, indent=2) + "\n", "utf-8")
    # On the disk before it has the name that says so, and the name before anybody is told of it.
    for each in (*files, path, folder):
        sync(each)
    complete = folder.rename(folder.with_suffix(""))
    sync(complete.parent)
    return complete


def sync(path: Path) -> None:
    """Have what a file holds, or which files a folder holds, on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(folder: Path, stack: str) -> dict[str, Any]:
    """The manifest of a backup whose files are all as they were written.

    Raises StackError naming what is missing, changed, or not for this way of running.
    """
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text("utf-8"))
    except FileNotFoundError:
        raise StackError(f"{folder} is no complete backup: it has no {MANIFEST}") from None
    except (OSError, ValueError) as error:
        raise StackError(f"{folder / MANIFEST} cannot be read: {error}") from None
    if manifest.get("format") != FORMAT:
        raise StackError(f"{folder} has format {manifest.get('format')}, this Feira reads {FORMAT}")
    if manifest["stack"] != stack:
        raise StackError(f"{folder} is a backup of the {manifest['stack']} stack, not of {stack}")
    for name, wanted in manifest["files"].items():
        file = folder / name
        if not file.is_file() or file.stat().st_size != wanted["bytes"]:
            raise StackError(f"{file} is missing or has another size than {wanted['bytes']} bytes")
        if sha256(file) != wanted["sha256"]:
            raise StackError(f"{file} was changed: its SHA-256 sum is not the manifest's")
    return manifest


def version() -> str:
    """Feira's own."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
    return str(project["version"])


def now() -> str:
    """The time, RFC 3339."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def sha256(file: Path) -> str:
    """The sum of a file, in hexadecimal."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def prove_base_backup(file: Path) -> dict[str, Any]:
    """Check a base backup against the manifest inside it, the log included.

    Returns:
        `postgres`: its major version; `timeline`, `start` and `end`: the position that a restore
        of it comes to.

    Raises StackError naming what is wrong.
    """
    manifest: dict[str, Any] | None = None
    major = ""
    found: dict[str, tuple[int, str]] = {}
    with _opened(file) as members:
        for name, content in members:
            if name == "backup_manifest":
                manifest = read_manifest(file.name, content.read())
            elif name == "PG_VERSION":
                text = content.read()
                major = text.decode().strip()
                found[name] = (len(text), hashlib.sha256(text).hexdigest())
            else:
                found[name] = _size_and_sum(content)
    if manifest is None:
        raise StackError(f"{file.name} is cut off: the manifest at its end is missing")
    for entry in manifest["Files"]:
        if "Path" in entry and found.get(entry["Path"]) != (entry["Size"], entry["Checksum"]):
            raise StackError(f"{file.name}: {entry['Path']} is missing or damaged")
    for extent in manifest["WAL-Ranges"]:
        for segment in _segments(extent):
            if f"pg_wal/{segment}" not in found:
                raise StackError(f"{file.name}: the log {segment} is missing")
    last = manifest["WAL-Ranges"][-1]
    return {
        "postgres": major,
        "timeline": last["Timeline"],
        "start": manifest["WAL-Ranges"][0]["Start-LSN"],
        "end": last["End-LSN"],
    }


def read_manifest(copy: str, text: bytes) -> dict[str, Any]:
    """A base backup's own manifest, which ends with its sum. Raises StackError if that is wrong."""
    content, found, end = text.rpartition(b'"Manifest-Checksum"')
    if not found or hashlib.sha256(content).hexdigest().encode() not in end:
        raise StackError(f"{copy}: its manifest is damaged")
    manifest: dict[str, Any] = json.loads(text)
    return manifest


def check_server(folder: Path, copy: dict[str, Any], said: str) -> None:
    """Raises StackError if a PostgreSQL is not of the major version of a base backup.

    Args:
        copy: what `prove_base_backup` returned.
        said: by `postgres --version`.
    """
    found = re.search(r"PostgreSQL\) (\d+)", said)
    if not found or found[1] != copy["postgres"]:
        raise StackError(
            f"{folder} was made by PostgreSQL {copy['postgres']}, which alone can read it; here is"
            f" {said.strip() or 'another'}"
        )


def prove_append_only_file(file: Path) -> None:
    """Check that a copy of a Redis has every file that its own manifest names."""
    names: set[str] = set()
    wanted: set[str] | None = None
    with _opened(file) as members:
        for name, content in members:
            names.add(Path(name).name)
            if name.endswith(".manifest"):
                lines = content.read().decode().splitlines()
                wanted = {line.split()[1] for line in lines if line.startswith("file ")}
    if wanted is None and "appendonly.aof" in names:
        return  # before Redis 7 it is one file without a manifest
    if not wanted or not wanted <= names:
        raise StackError(f"{file.name} lacks a file: {sorted((wanted or set()) - names)}")


def _size_and_sum(content: IO[bytes]) -> tuple[int, str]:
    digest = hashlib.sha256()
    size = 0
    while piece := content.read(_CHUNK):
        digest.update(piece)
        size += len(piece)
    return size, digest.hexdigest()


def _members(archive: tarfile.TarFile) -> Iterator[tuple[str, Any]]:
    """Names and contents of the plain files in a tar, in one pass."""
    for member in archive:
        if member.isfile():
            yield member.name.removeprefix("./"), archive.extractfile(member)


@contextmanager
def _opened(file: Path) -> Iterator[Iterator[tuple[str, Any]]]:
    """The members of a compressed tar; raises StackError if it cannot be read to its end."""
    try:
        with gzip.open(file) as whole, tarfile.open(fileobj=whole, mode="r|") as archive:
            yield _members(archive)
            # The sum of all of it comes after the end of the archive; the log has no other.
            while whole.read(_SEGMENT_BYTES):
                pass
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise StackError(f"{file.name} cannot be read to its end: {error}") from None


def _segments(extent: dict[str, Any]) -> Iterator[str]:
    """Names of the log files that hold a range of positions."""
    first, last = (_position(extent[key]) for key in ("Start-LSN", "End-LSN"))
    in_one_log = (1 << 32) // _SEGMENT_BYTES
    for number in range(first // _SEGMENT_BYTES, (last - 1) // _SEGMENT_BYTES + 1):
        log, segment = divmod(number, in_one_log)
        yield f"{extent['Timeline']:08X}{log:08X}{segment:08X}"


def _position(lsn: str) -> int:
    high, _, low = lsn.partition("/")
    return (int(high, 16) << 32) + int(low, 16)
