"""The controls can be run: what they replace is where they look for it, and their tests exist."""

from __future__ import annotations

import pytest

from tests.controls import CONTROLS, REPOSITORY, Control


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_what_a_control_takes_out_is_there_once(control: Control) -> None:
    for change in control.changes:
        text = (REPOSITORY / change.path).read_text("utf-8")
        assert text.count(change.old) == 1, change
        assert change.new != change.old


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_the_test_of_a_control_exists_and_is_of_its_promise(control: Control) -> None:
    path, _, name = control.test.partition("::")
    text = (REPOSITORY / path).read_text("utf-8")
    assert f"def {name or 'test_'}" in text
    assert f"@pytest.mark.promise({control.promise}" in text
