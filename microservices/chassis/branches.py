"""Which branches there are besides this one, and by what each is known."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

NAME = re.compile(r"[a-z0-9-]{1,32}")
URL = re.compile(r"https?://[^,=\s/]+")
LEAST_TOKEN = 32
# `aaaa…` is long and no secret.
LEAST_VARIETY = 8


@dataclass(frozen=True)
class Peer:
    """Another branch.

    Attributes:
        name: its NODE_NAME.
        url: base URL of its gateway.
        token: the secret of this pair of branches.
    """

    name: str
    url: str
    token: str = field(repr=False)


def read_urls(text: str) -> dict[str, str]:
    """`filial=https://filial.example,loja=https://…` as a mapping. Raises ValueError."""
    found: dict[str, str] = {}
    for name, url in _pairs(text):
        if not NAME.fullmatch(name) or not URL.fullmatch(url):
            raise ValueError("must be name=https://host[:port], separated by commas")
        if name in found:
            raise ValueError(f"names {name} twice")
        found[name] = url
    return found


def read_tokens(text: str, only: str, names: list[str]) -> dict[str, str]:
    """The token of each of these branches.

    Args:
        text: `filial=secret,loja=secret`.
        only: the token of the one peer, when there is just one.
        names: of the peers.

    Raises:
        ValueError: a token is missing, weak, or of two pairs; none is in the message.
    """
    found = dict(_pairs(text))
    if only and len(names) == 1:
        found.setdefault(names[0], only)
    for name in names:
        token = found.get(name, "")
        if not token:
            raise ValueError(f"is required for {name}, which PEERS names")
        if len(token) < LEAST_TOKEN or len(set(token)) < LEAST_VARIETY or not token.isascii():
            raise ValueError(f"of {name} is weak: {LEAST_TOKEN} random characters or more")
    if len({found[name] for name in names}) < len(names):
        raise ValueError("has one token for two peers; every pair of branches has its own")
    return {name: found[name] for name in names}


def _pairs(text: str) -> list[tuple[str, str]]:
    parts = [part.strip() for part in text.split(",") if part.strip()]
    if any("=" not in part for part in parts):
        raise ValueError("must be name=value, separated by commas")
    pairs = [part.split("=", 1) for part in parts]
    return [(name.strip(), value.strip()) for name, value in pairs]
