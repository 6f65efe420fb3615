"""Password hashes: what they compare, how long that takes, and how many run at once."""

from __future__ import annotations

import statistics
import threading
import time
from contextlib import ExitStack

import pytest

from chassis.problems import Unavailable
from orders import passwords

# Enough that hashing outweighs all else: 16 times the least.
ROUNDS = 8


@pytest.fixture(scope="module")
def password_hash() -> str:
    return passwords.make_hash("pão de mel", ROUNDS)


def test_a_hash_matches_its_password_only(password_hash: str) -> None:
    assert passwords.matches("pão de mel", password_hash, ROUNDS)
    assert not passwords.matches("pao de mel", password_hash, ROUNDS)
    assert not passwords.matches("pão de mel\x00", password_hash, ROUNDS)
    assert passwords.make_hash("pão de mel", ROUNDS) != password_hash, "salted"


def test_no_hash_takes_as_long_as_a_wrong_password(password_hash: str) -> None:
    seconds: dict[str | None, list[float]] = {password_hash: [], None: []}
    for _ in range(9):
        for known, samples in seconds.items():
            started = time.perf_counter()
            assert not passwords.matches("a guess", known, ROUNDS)
            samples.append(time.perf_counter() - started)
    wrong, unknown = (statistics.median(samples) for samples in seconds.values())
    assert 0.5 < unknown / wrong < 2


def test_a_hash_of_another_cost_is_outdated(password_hash: str) -> None:
    assert not passwords.outdated(password_hash, ROUNDS)
    assert passwords.outdated(password_hash, ROUNDS + 1)


def test_no_more_run_at_once_than_there_are_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "WAIT_SECONDS", 0.01)
    with ExitStack() as held:
        for _ in range(passwords.AT_ONCE):
            held.enter_context(passwords.turn())
        with pytest.raises(Unavailable) as refused:
            passwords.make_hash("pão de mel", 4)
    assert refused.value.headers["Retry-After"] == "1"
    assert passwords.make_hash("pão de mel", 4), "turns are given back"


def test_who_finds_no_place_to_wait_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(passwords, "_admitted", threading.BoundedSemaphore(1))
    monkeypatch.setattr(passwords, "WAIT_SECONDS", 60)
    with passwords.turn(), pytest.raises(Unavailable):
        passwords.make_hash("pão de mel", 4)
    assert passwords.make_hash("pão de mel", 4), "places are given back"
