"""The secrets of one clone: made up once, kept in a file that only its owner can read."""

from __future__ import annotations

import base64
import os
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from local.errors import StackError

# No letter or digit that a person could mistake for another one.
_TYPABLE = "abcdefghjkmnpqrstuvwxyz23456789"


def typable_password() -> str:
    """79 bits of chance in four groups that can be read out and typed in."""
    return "-".join("".join(secrets.choice(_TYPABLE) for _ in range(4)) for _ in range(4))


def _machine_password() -> str:
    return secrets.token_hex(24)


def _ed25519_seed() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


def _made_by(maker: Callable[[], str]) -> Any:
    return field(metadata={"maker": maker}, repr=False)


@dataclass(frozen=True)
class Secrets:
    """Each field is one KEY=value line of the file, with the key in upper case."""

    postgres_password: str = _made_by(_machine_password)
    replicator_password: str = _made_by(_machine_password)
    rewinder_password: str = _made_by(_machine_password)
    patroni_password: str = _made_by(_machine_password)
    catalog_owner_password: str = _made_by(_machine_password)
    catalog_password: str = _made_by(_machine_password)
    orders_owner_password: str = _made_by(_machine_password)
    orders_password: str = _made_by(_machine_password)
    auditor_password: str = _made_by(_machine_password)
    redis_carts_password: str = _made_by(_machine_password)
    redis_streams_password: str = _made_by(_machine_password)
    supervisor_password: str = _made_by(_machine_password)
    service_token: str = _made_by(_machine_password)
    jwt_private_key: str = _made_by(_ed25519_seed)
    admin_password: str = _made_by(typable_password)
    demo_password: str = _made_by(typable_password)
    probe_password: str = _made_by(typable_password)


def secrets_file(home: Path) -> Path:
    """Where the secrets of a stack are kept."""
    return home / "secrets.env"


def load_secrets(home: Path, chosen: dict[str, str] | None = None) -> Secrets:
    """Read the secrets, making up those that are missing.

    `chosen` holds values a person picked (the administrator's password); they count only while
    the file does not have one yet, because the accounts made with the old one would not change.
    Raises StackError when the file is gone but data made with it is still there.
    """
    path = secrets_file(home)
    known = _read(path)
    if not known and any((home / "data").glob("*")):
        raise StackError(
            f"{path} is missing, but the data made with it is in {home / 'data'}: "
            "put the file back, or delete the folder to start afresh"
        )
    values = {
        each.name: known.get(each.name) or (chosen or {}).get(each.name) or each.metadata["maker"]()
        for each in fields(Secrets)
    }
    if values != known:
        write_private(path, "".join(f"{name.upper()}={text}\n" for name, text in values.items()))
    path.chmod(0o600)
    return Secrets(**values)


def _read(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text("utf-8").splitlines()
    except FileNotFoundError:
        return {}
    pairs = (line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))
    return {name.strip().lower(): value for name, value in pairs}


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; at no moment can anyone else read it."""
    scratch = path.with_name(path.name + ".new")
    scratch.unlink(missing_ok=True)
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    scratch.replace(path)
