"""The secrets of the Compose way of running: in .env, in the form that Compose reads."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import fields

from local.errors import StackError
from local.secrets import Secrets, write_private

__all__ = ["MAKERS", "OF_ROLES", "completed", "missing", "write_private"]

_HEAD = """\
# Made by `make up`. Keep it: the data in the volumes was made with these secrets.
# .env.example explains every variable that can be set here.

# A shop to try out, on this machine only. Delete both lines to run it for real.
SEED_DEMO=true
LISTEN_ADDRESS=127.0.0.1
"""
# They stand in URIs, in YAML and in this file, and mean the same in all of them.
_PLAIN = re.compile(r"[A-Za-z0-9._~=-]+")
_LINE = re.compile(r"(?m)^([A-Z_]+)=(.*)$")


def _makers() -> dict[str, Callable[[], str]]:
    makers = {each.name.upper(): each.metadata["maker"] for each in fields(Secrets)}
    # There is no supervisor in a container.
    del makers["SUPERVISOR_PASSWORD"]
    return makers


# Variable to the function that makes one up.
MAKERS = _makers()


# What roles of the databases are given when their data is made: .env and the data have to agree.
OF_ROLES = frozenset(
    {
        *("POSTGRES_PASSWORD", "REPLICATOR_PASSWORD", "REWINDER_PASSWORD", "AUDITOR_PASSWORD"),
        *("CATALOG_OWNER_PASSWORD", "CATALOG_PASSWORD"),
        *("ORDERS_OWNER_PASSWORD", "ORDERS_PASSWORD"),
    }
)


def missing(text: str) -> list[str]:
    """Names of the secrets that the text of .env lacks, or has empty."""
    return [name for name in MAKERS if not _known(text).get(name)]


def completed(text: str) -> str:
    """The text of .env with every secret in it; those that are missing or empty are made up.

    Raises StackError naming a secret with a character that would mean something else somewhere.
    """
    known = _known(text)
    for name in MAKERS:
        if known.get(name) and not _PLAIN.fullmatch(known[name]):
            raise StackError(f"{name} in .env: only letters, digits and . _ ~ = - can be used")
    made = {name: MAKERS[name]() for name in missing(text)}
    if not made:
        return text
    for name in [name for name in made if name in known]:
        text = re.sub(rf"(?m)^{name}=.*$", f"{name}={made.pop(name)}", text)
    lines = [f"{name}={value}\n" for name, value in made.items()]
    start = f"{text.rstrip()}\n" if text.strip() else _HEAD
    return "".join([start, "\n" * bool(lines), *lines])


def _known(text: str) -> dict[str, str]:
    return {name: value.strip() for name, value in _LINE.findall(text)}
