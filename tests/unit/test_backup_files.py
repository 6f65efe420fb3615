"""What a backup and a restore make sure of, on a copy that is small and made up."""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
import time
from pathlib import Path
from typing import Any

import pytest

from local import backup, backup_files, commands, restoring
from local.errors import StackError
from local.postgres import binary
from local.settings import Settings
from local.stack import Stack
from local.web import free_ports

# Of the PostgreSQL that the embedded stack has.
MAJOR = re.findall(r"\d+", backup._said(binary("postgres"), "--version"))[0]


def add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def base_backup(file: Path, major: str) -> None:
    """As pg_basebackup writes it, with the least that it can have."""
    content = {"PG_VERSION": f"{major}\n".encode(), "pg_wal/000000010000000000000002": b"log"}
    manifest = {
        "Files": [
            {
                "Path": "PG_VERSION",
                "Size": len(content["PG_VERSION"]),
                "Checksum": hashlib.sha256(content["PG_VERSION"]).hexdigest(),
            }
        ],
        "WAL-Ranges": [{"Timeline": 1, "Start-LSN": "0/2000028", "End-LSN": "0/2000100"}],
    }
    with tarfile.open(file, "w:gz") as archive:
        for name, each in content.items():
            add(archive, name, each)
        text = json.dumps(manifest)[:-1].encode() + b",\n"
        checksum = hashlib.sha256(text).hexdigest()
        add(archive, "backup_manifest", text + f'"Manifest-Checksum": "{checksum}"}}\n'.encode())


def make(parent: Path, major: str = MAJOR) -> Path:
    """A backup of the embedded stack."""
    folder = backup_files.new_folder(parent)
    base_backup(folder / backup.CLUSTER, major)
    with tarfile.open(folder / "redis-carts.tar.gz", "w:gz") as archive:
        add(archive, "appendonly.aof", b"")
    return backup_files.complete(folder, {"stack": "embedded", "databases": {"orders": {}}})


@pytest.fixture
def stack(tmp_path: Path) -> Stack:
    """A stack that was never started."""
    return Stack(Settings(feira_home=tmp_path / "home", **free_ports()))


def restore(stack: Stack, folder: Path, *, force: bool = False) -> None:
    backup.restore(stack.settings, stack.cluster, folder, force)


def test_a_backup_is_on_the_disk_before_it_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done: list[str] = []
    rename = Path.rename

    def synced(descriptor: int) -> None:
        done.append(Path(f"/proc/self/fd/{descriptor}").readlink().name)

    def renamed(path: Path, target: Any) -> Path:
        done.append("renamed")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    folder = make(tmp_path)
    before = done[: done.index("renamed")]
    assert set(before[:-1]) == {path.name for path in folder.iterdir()}
    assert before[-1] == f"{folder.name}.partial"
    assert done[len(before) :] == ["renamed", tmp_path.name]


def test_another_format_is_refused_before_anything_is_deleted(stack: Stack, tmp_path: Path) -> None:
    folder = make(tmp_path / "backups")
    manifest = json.loads((folder / "manifest.json").read_text())
    (folder / "manifest.json").write_text(json.dumps(manifest | {"format": 2}))
    mark = stack.settings.data / "mark"
    mark.touch()
    with pytest.raises(StackError, match="has format 2, this Feira reads 1"):
        restore(stack, folder, force=True)
    assert mark.exists()


def test_another_postgresql_is_refused_before_anything_is_deleted(
    stack: Stack, tmp_path: Path
) -> None:
    folder = make(tmp_path / "backups", major="9")
    mark = stack.settings.data / "mark"
    mark.touch()
    with pytest.raises(StackError, match=r"made by PostgreSQL 9, .* here is postgres"):
        restore(stack, folder, force=True)
    assert mark.exists()


def test_the_containers_postgresql_is_read_from_what_it_says() -> None:
    said = "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)\n"
    backup_files.check_server(Path("copy"), {"postgres": "15"}, said)
    for copy, program in (("1", said), ("16", said), ("15", "")):
        with pytest.raises(StackError, match="which alone can read it"):
            backup_files.check_server(Path("copy"), {"postgres": copy}, program)


def test_nothing_starts_on_what_half_a_restore_has_left(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make(tmp_path / "backups")
    (stack.settings.data / "theirs").touch()
    unpack = backup._unpack

    def dies(file: Path, target: Path) -> None:
        if file.name == backup.CLUSTER:
            raise KeyboardInterrupt
        unpack(file, target)

    with monkeypatch.context() as patched:
        patched.setattr(backup, "_unpack", dies)
        with pytest.raises(KeyboardInterrupt):
            restore(stack, folder, force=True)
    assert [path.name for path in stack.settings.data.iterdir()] == ["redis-carts"]
    with pytest.raises(StackError, match=f"make restore FROM={folder}`"):
        stack.up()
    monkeypatch.setenv("FEIRA_HOME", str(stack.settings.feira_home))
    with pytest.raises(StackError, match="a restore was broken off"):
        commands.backup(tmp_path)
    # Whoever let the first one delete what was there need not say so again.
    restore(stack, folder)
    restoring.refuse(stack.settings)
    assert stack.cluster.restored.is_dir()


def test_a_closed_restore_is_one_of_containers(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FEIRA_HOME", str(stack.settings.feira_home))
    with pytest.raises(StackError, match="CLOSED=1 is for ON=compose"):
        commands.restore(make(tmp_path / "backups"), force=True, closed=True)
    assert not list(stack.settings.data.iterdir())


@pytest.mark.parametrize(
    ("script", "complaint"),
    [
        ("printf x; exec sleep 60", "sent nothing for 1 s"),
        ("echo no such slot >&2; exit 1", "pg_basebackup: no such slot"),
    ],
)
def test_a_copy_that_stands_still_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, complaint: str
) -> None:
    monkeypatch.setattr(backup, "_SILENT_SECONDS", 1.0)
    began = time.monotonic()
    with (tmp_path / "copy").open("wb") as target, pytest.raises(StackError, match=complaint):
        backup._run_while_it_grows(["sh", "-c", script], "", target)
    assert time.monotonic() - began < 10
