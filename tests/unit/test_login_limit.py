"""How failed logins are counted while Redis is away, when each process counts for itself."""

from __future__ import annotations

import pytest

from chassis.problems import TooManyRequests
from orders.login_limit import LoginLimit

# Nothing listens on the discard port.
NO_REDIS = "redis://127.0.0.1:9/0"


def fail(limit: LoginLimit, email: str, address: str) -> None:
    attempt = limit.attempt(email, address)
    attempt.check()
    attempt.failed()


def test_failures_of_an_address_are_bounded_whatever_the_account() -> None:
    limit = LoginLimit(NO_REDIS, "secret", per_account=10, per_address=100)
    for number in range(100):
        fail(limit, f"{number}@exemplo.com", "203.0.113.7")
    with pytest.raises(TooManyRequests) as refused:
        limit.attempt("another@exemplo.com", "203.0.113.7").check()
    assert 1 <= int(refused.value.headers["Retry-After"]) <= 60
    limit.attempt("another@exemplo.com", "203.0.113.8").check()


def test_failures_are_counted_while_redis_is_away() -> None:
    limit = LoginLimit(NO_REDIS, "secret", per_account=3, per_address=100)
    for _ in range(3):
        fail(limit, "ana@exemplo.com", "203.0.113.7")
    with pytest.raises(TooManyRequests):
        limit.attempt("ana@exemplo.com", "203.0.113.7").check()
    limit.attempt("ana@exemplo.com", "203.0.113.8").check()
    limit.attempt("eva@exemplo.com", "203.0.113.7").check()


def test_a_failure_that_ran_beside_the_last_one_is_refused() -> None:
    limit = LoginLimit(NO_REDIS, "secret", per_account=1, per_address=100)
    first, second = (limit.attempt("ana@exemplo.com", "203.0.113.7") for _ in range(2))
    first.check()
    second.check()
    first.failed()
    with pytest.raises(TooManyRequests):
        second.failed()


def test_an_ipv6_network_counts_as_one_address() -> None:
    limit = LoginLimit(NO_REDIS, "secret", per_account=10, per_address=1)
    fail(limit, "ana@exemplo.com", "2001:db8::1")
    with pytest.raises(TooManyRequests):
        limit.attempt("eva@exemplo.com", "2001:db8::ffff:1").check()
    limit.attempt("eva@exemplo.com", "2001:db8:0:1::1").check()
