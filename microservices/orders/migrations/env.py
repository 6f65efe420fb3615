"""Alembic's entry point; all of it is in `chassis.migrations`."""

from chassis.migrations import run

run()
