"""Feira in containers, started once by `make up` in a copy of the clone."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from xdist.remote import Producer
from xdist.scheduler import LoadScopeScheduling

from local.settings import REPOSITORY
from local.web import free_ports
from tests.docker.project import Project

# They take minutes and need an engine: `make test` leaves them out.
collect_ignore_glob = [] if os.environ.get("FEIRA_DOCKER") else ["test_*.py"]

# An operator's own: secrets, data, results.
OWN = (".env", ".env.made*", ".env.new", ".feira*", "backups", "reports")
LEFT_OUT = shutil.ignore_patterns(*OWN, ".venv", ".git", "__pycache__", ".*_cache")


class TwoParts(LoadScopeScheduling):
    """Beside the tests of the one project, those of Kafka by itself: both mostly wait."""

    def _split_scope(self, nodeid: str) -> str:
        return "kafka" if "/test_kafka.py" in nodeid else "project"


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> TwoParts:
    """How pytest-xdist is to share the tests out."""
    return TwoParts(config, log)


@pytest.fixture(scope="session")
def clone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this clone, so that its .env is made here and nobody's own is touched."""
    folder = tmp_path_factory.mktemp("compose") / "clone"
    shutil.copytree(REPOSITORY, folder, ignore=LEFT_OUT)
    return folder


@pytest.fixture(scope="session")
def stack(clone: Path) -> Iterator[Project]:
    """The running project; at the end nothing of it may be left."""
    project = Project(clone, free_ports())
    try:
        project.make("up", "OBSERVE=prometheus")
        yield project
    finally:
        project.make("down", "VOLUMES=1")
    assert project.leftovers() == {"container": [], "network": [], "volume": []}
