"""The controls can be run: what they replace is where they look for it, and their tests exist."""

from __future__ import annotations

import re

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


@pytest.mark.parametrize("control", CONTROLS, ids=lambda control: control.name)
def test_no_later_migration_puts_back_what_a_control_takes_out(control: Control) -> None:
    for change in control.changes:
        path = REPOSITORY / change.path
        if path.parent.name != "sql":
            continue
        before = path.read_text("utf-8").partition(change.old)[0]
        functions = re.findall(r"(?m)^CREATE (?:OR REPLACE )?FUNCTION (\w+)", before)
        number = path.stem[-4:]
        later = [other for other in path.parent.glob("*.sql") if other.stem[-4:] > number]
        made = rf"CREATE (?:OR REPLACE )?FUNCTION {functions[-1]}\(" if functions else None
        again = re.compile(made) if made else None
        assert [o.name for o in later if again and again.search(o.read_text("utf-8"))] == []
