"""What a service's consumers have given up: `flask … dead-letters list|show|replay`, and the same
for the operators' door.

A replay gives the event its effect here and now and says whether that worked. It is not put back
among the others: those of other groups have had it, and its effect is idempotent.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
from flask import Flask

from chassis import bus
from chassis.events import Event
from chassis.problems import Conflict, NotFound


def register(app: Flask, url: str, group: str, handlers: Mapping[str, bus.Handler]) -> None:
    """Add the commands to a service's app.

    Args:
        url: EVENT_BUS_URL.
        group: the service's consumer group.
        handlers: publishing service → what its events do here.
    """

    @app.cli.group("dead-letters")
    def commands() -> None:
        """See and replay the events that were given up."""

    @commands.command("list")
    def list_letters() -> None:
        """One line for each: id, service, type, subject, error."""
        for letter in _letters(url, group):
            said = _described(letter)
            click.echo(f"{letter.id}  {letter.service}  {said}  {letter.error[:120]}")

    @commands.command("show")
    @click.argument("letter_id")
    def show(letter_id: str) -> None:
        """All of one: where it comes from, its error, the event."""
        letter = _one(url, group, letter_id)
        click.echo(f"service: {letter.service}\nerror:   {letter.error}\n{letter.document}")

    @commands.command("replay")
    @click.argument("letter_ids", nargs=-1)
    @click.option("--all", "every", is_flag=True, help="Every letter there is.")
    def replay(letter_ids: tuple[str, ...], every: bool) -> None:
        """Give events their effect now; those that work are no dead letters any more."""
        if not letter_ids and not every:
            raise SystemExit("name the letters to replay, or say --all")
        chosen = _letters(url, group) if every else [_one(url, group, i) for i in letter_ids]
        failed = [letter for letter in chosen if not _replayed(url, group, letter, handlers)]
        if failed:
            raise SystemExit(f"{len(failed)} of {len(chosen)} failed again and are kept")


def documents(url: str, group: str) -> list[dict[str, Any]]:
    """What a group has given up, as operators are shown it, the oldest first.

    Raises:
        BusAway or RedisError: the bus does not answer.
    """
    return [_document(group, letter) for letter in bus.dead_letters(url, group).letters()]


def replay(url: str, group: str, letter_id: str, handlers: Mapping[str, bus.Handler]) -> None:
    """Give an event its effect now; then it is no dead letter any more.

    Raises:
        LetterNotFound: there is none of this id, or somebody else was faster.
        ReplayFailed: it failed again, and is kept.
        BusAway or RedisError: the bus does not answer.
    """
    letters = bus.dead_letters(url, group)
    for letter in letters.letters():
        if letter.id == letter_id:
            try:
                handlers[letter.service](Event.parse(json.loads(letter.document)))
            except bus.away():
                raise
            except Exception as error:
                raise ReplayFailed(f"It failed again: {error!r}"[:300]) from error
            letters.remove(letter)
            return
    raise LetterNotFound(f"There is no dead letter {letter_id}.")


class LetterNotFound(NotFound):
    slug, title = "letter-not-found", "No such dead letter"


class ReplayFailed(Conflict):
    slug, title = "replay-failed", "The event failed again"


def _document(group: str, letter: bus.Letter) -> dict[str, Any]:
    event = _parsed(letter)
    return {
        "id": letter.id,
        "group": group,
        "service": letter.service,
        "type": event.type if event else None,
        "subject": event.subject if event else None,
        "error": letter.error,
        "document": letter.document,
    }


def _replayed(
    url: str, group: str, letter: bus.Letter, handlers: Mapping[str, bus.Handler]
) -> bool:
    try:
        handlers[letter.service](Event.parse(json.loads(letter.document)))
    except Exception as error:
        click.echo(f"{letter.id}  failed: {error!r}")
        return False
    with _clear_errors():
        bus.dead_letters(url, group).remove(letter)
    click.echo(f"{letter.id}  done")
    return True


def _letters(url: str, group: str) -> list[bus.Letter]:
    with _clear_errors():
        return bus.dead_letters(url, group).letters()


def _one(url: str, group: str, letter_id: str) -> bus.Letter:
    for letter in _letters(url, group):
        if letter.id == letter_id:
            return letter
    raise SystemExit(f"there is no dead letter {letter_id}")


def _described(letter: bus.Letter) -> str:
    event = _parsed(letter)
    return f"{event.type}  {event.subject}" if event else "no event"


def _parsed(letter: bus.Letter) -> Event | None:
    """The event of a letter, unless that was the trouble."""
    try:
        return Event.parse(json.loads(letter.document))
    except (ValueError, TypeError, KeyError):
        return None


@contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except bus.away() as error:
        raise SystemExit(f"the event bus does not answer: {error}") from None
