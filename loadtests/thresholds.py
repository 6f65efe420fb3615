"""The thresholds of the load test, and whether a run kept them."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

FILE = Path(__file__).with_name("thresholds.toml")
LIMITED = "limited"
KEYS = {"error_rate", "p95_ms", "p99_ms"}


class ThresholdsError(Exception):
    """The file does not say what it should."""


@dataclass(frozen=True)
class Limits:
    """Of one group: a share of 0 to 1, and milliseconds."""

    error_rate: float
    p95_ms: float
    p99_ms: float


@dataclass(frozen=True)
class Thresholds:
    """Limits by group, and the largest share of answers that may be 429."""

    groups: Mapping[str, Limits]
    limited_share: float


@dataclass(frozen=True)
class Seen:
    """What was measured under one name. Times in milliseconds."""

    name: str
    requests: int
    failures: int
    p95_ms: float
    p99_ms: float


def read(path: Path = FILE) -> Thresholds:
    """The file; raises ThresholdsError, which names what is wrong in it."""
    try:
        sections = tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise ThresholdsError(f"{path} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ThresholdsError(f"{path}: {error}") from None
    numbers = {
        name: _numbers(path, name, section, {"share"} if name == LIMITED else KEYS)
        for name, section in sections.items()
    }
    if LIMITED not in numbers:
        raise ThresholdsError(f"{path}: there is no [{LIMITED}]")
    share = numbers.pop(LIMITED)["share"]
    return Thresholds({name: Limits(**each) for name, each in numbers.items()}, share)


def _numbers(path: Path, name: str, section: object, keys: set[str]) -> dict[str, float]:
    if not isinstance(section, dict) or set(section) != keys:
        raise ThresholdsError(f"{path}: [{name}] needs exactly {', '.join(sorted(keys))}")
    for key, value in section.items():
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise ThresholdsError(f"{path}: {key} of [{name}] is no number of 0 or more")
    return {key: float(value) for key, value in section.items()}


def group_of(name: str) -> str:
    """The group of a request's name: `browse` of `browse: list`."""
    return name.partition(":")[0]


def broken(thresholds: Thresholds, seen: Iterable[Seen]) -> list[str]:
    """One line for each threshold that was not kept; none when all were.

    That nothing was asked, or something that has no thresholds, is broken as well.
    """
    rows = [row for row in seen if row.requests]
    total = sum(row.requests for row in rows)
    if not total:
        return ["no request was answered"]
    lines: list[str] = []
    for row in rows:
        group = group_of(row.name)
        if group == LIMITED:
            share = row.requests / total
            if share > thresholds.limited_share:
                lines.append(f"{row.name}: {share:.1%} of all > {thresholds.limited_share:.1%}")
        elif group in thresholds.groups:
            lines += _broken_by(row, thresholds.groups[group])
        else:
            lines.append(f"{row.name}: no thresholds for [{group}]")
    return lines


def _broken_by(row: Seen, limits: Limits) -> list[str]:
    lines = []
    rate = row.failures / row.requests
    if rate > limits.error_rate:
        lines.append(f"{row.name}: error rate {rate:.2%} > {limits.error_rate:.2%}")
    for name in ("p95_ms", "p99_ms"):
        value, limit = getattr(row, name), getattr(limits, name)
        if value > limit:
            lines.append(f"{row.name}: {name[:3]} {value:.0f} ms > {limit:.0f} ms")
    return lines
