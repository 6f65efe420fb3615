"""CPU time by process group."""

from __future__ import annotations

import os
import subprocess
import sys

from hypothesis import example, given
from hypothesis import strategies as st

from loadtests.bench.cpu import (
    TICKS,
    Machine,
    Process,
    attribute,
    group_of,
    owners,
    parse_machine,
    parse_process,
    processes,
)


def process(pid: int, parent: int, name: str = "python", seconds: float = 1.0) -> Process:
    return Process(pid, parent, name, seconds)


@example("a) R (b")
@given(st.text(st.characters(codec="utf-8", exclude_characters="\n"), max_size=15))
def test_a_name_may_hold_anything(name: str) -> None:
    times = "5 6 7 8"
    line = f"42 ({name}) S 7 42 42 0 -1 4194560 9 9 9 9 {times} 20 0 1 0 100 0 0"
    assert parse_process(line) == Process(42, 7, name, 26 / TICKS)


def test_interrupts_waiting_and_idling_are_no_work() -> None:
    found = parse_machine("cpu  100 20 3 9999 888 77 66 5 0 0")
    assert found == Machine(123 / TICKS, 5 / TICKS)


def test_children_count_for_the_nearest_ancestor_that_has_a_name() -> None:
    table = [
        process(1, 0),
        process(10, 1, "supervisord", 0.5),
        process(20, 10, "gunicorn", 1),
        process(21, 20, "gunicorn", 2),
        process(22, 21, "sh", 4),
        process(30, 10, "nginx", 8),
        process(99, 1, "somebody", 16),
    ]
    roots = {10: "supervisor", 20: "cart", 30: "gateway", 40: "never started"}
    assert owners(table, {20: "cart", 22: "sh"}) == {20: "cart", 21: "cart", 22: "sh"}
    assert attribute(table, roots) == {
        "supervisor": 0.5,
        "cart": 7,
        "gateway": 8,
        "never started": 0,
    }


def test_a_circle_in_a_table_that_changed_while_it_was_read_does_no_harm() -> None:
    assert attribute([process(2, 3), process(3, 2)], {9: "cart"}) == {"cart": 0}


def test_the_cpu_time_of_an_ended_child_is_not_lost() -> None:
    mine = {os.getpid(): "test"}
    before = attribute(processes(), mine)["test"]
    busy = "import time\nwhile time.process_time() < 0.2: pass"
    subprocess.run([sys.executable, "-c", busy], check=True)
    assert attribute(processes(), mine)["test"] - before >= 0.15


def test_every_process_of_the_stack_has_a_group() -> None:
    named = {
        "gateway": "nginx",
        "catalog-2": "catalog",
        "catalog-background": "catalog",
        "cart-background": "cart",
        "orders": "orders",
        "postgres-1": "Postgres",
        "patroni-2": "Patroni, etcd",
        "redis-streams": "Redis",
        "etcd": "Patroni, etcd",
        "supervisor": "supervisor",
    }
    assert {name: group_of(name) for name in named} == named
