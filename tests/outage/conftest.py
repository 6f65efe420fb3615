"""Orders under rehearsal, once for all tests that need it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from local.stack import Stack
from tests.outage.rehearsal import Plans, rehearsed


@pytest.fixture(scope="package")
def plans(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Plans]:
    """Orders runs the double; this is where its deaths are planned."""
    with rehearsed(stack, tmp_path_factory.mktemp("plans")) as plans:
        yield plans
