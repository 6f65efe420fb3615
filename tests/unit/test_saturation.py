"""The knee: where more users only wait for each other."""

from __future__ import annotations

import pytest

from loadtests.saturation import Stage, is_over, knee, table


def stages(*rates: float) -> list[Stage]:
    """100, 200, 300 ... users with these rates."""
    return [Stage(100 * (n + 1), rate, 10.0) for n, rate in enumerate(rates)]


@pytest.mark.parametrize(
    ("rates", "users"),
    [
        ((), None),
        ((50,), None),
        ((50, 100, 150), None),
        # Each of 300 gets less done than 80 % of what each of 100 did.
        ((50, 100, 110), 200),
        ((50, 100, 110, 112), 200),
        # A stage that was disturbed is none, if a later one is as good as the first.
        ((50, 60, 150, 155, 150), 300),
    ],
)
def test_the_knee_is_the_last_stage_at_which_users_are_as_quick(
    rates: tuple[float, ...], users: int | None
) -> None:
    found = knee(stages(*rates))
    assert (found.users if found else None) == users


def test_it_is_over_two_stages_later() -> None:
    assert not is_over(stages(50, 100, 110))
    assert is_over(stages(50, 100, 110, 112))


def test_the_table_marks_it() -> None:
    lines = table(stages(50, 100, 110, 112))
    assert [line.endswith("<- knee") for line in lines] == [False, False, True, False, False]
