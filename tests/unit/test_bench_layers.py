"""Samples of a service, by layer."""

from __future__ import annotations

import pytest

from loadtests.bench.layers import OWN, SERVER, layer_of, shares

ROOT = "run (/venv/site-packages/gunicorn/app/base.py:71)"
VIEW = "place (orders/routes.py:40)"


@pytest.mark.parametrize(
    ("frames", "layer"),
    [
        ([ROOT], SERVER),
        ([ROOT, "wsgi_app (/venv/site-packages/flask/app.py:1)"], "framework (Flask)"),
        ([ROOT, VIEW], OWN),
        ([ROOT, VIEW, "call (chassis/http_client.py:90)"], "calls between services"),
        ([ROOT, VIEW, "call (chassis/db.py:9)", "wait (chassis/postgres.py:80)"], "SQL client"),
        # What is nobody's own is its caller's.
        ([ROOT, VIEW, "encode (/usr/lib/python3.11/json/encoder.py:200)"], OWN),
        (
            ["call (chassis/http_client.py:9)", "dumps (json/__init__.py:2)"],
            "calls between services",
        ),
        (["main (app.py:1)"], "Python itself"),
    ],
)
def test_the_innermost_frame_that_is_known_decides(frames: list[str], layer: str) -> None:
    assert layer_of(";".join(frames)) == layer


def test_shares_are_of_all_samples() -> None:
    lines = [f"{ROOT};{VIEW} 3", f"{ROOT} 1", "not a line"]
    assert shares(lines) == {OWN: 0.75, SERVER: 0.25}
    assert shares([]) == {}
