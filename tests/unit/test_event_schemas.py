"""The published schemas are schemas, and the page about events says what they say."""

from __future__ import annotations

import json
import re

import pytest
from jsonschema import Draft202012Validator

from local.settings import REPOSITORY
from tests.events.schemas import SCHEMAS, faults

PAGE = (REPOSITORY / "docs/events.md").read_text("utf-8")
EXAMPLES = [json.loads(text) for text in re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)]


@pytest.mark.parametrize("kind", sorted(SCHEMAS))
def test_a_schema_is_one(kind: str) -> None:
    Draft202012Validator.check_schema(SCHEMAS[kind])
    assert SCHEMAS[kind]["title"] == kind


def test_every_event_is_on_the_page_with_its_publisher_and_an_example() -> None:
    table = re.findall(r"(?m)^\| `([a-z_.]+)` \| (\w+) \|", PAGE)
    published = {
        (path.name.removesuffix(".schema.json"), path.parent.parent.name)
        for path in REPOSITORY.glob("microservices/*/events/*.schema.json")
    }
    assert set(table) == published
    assert sorted(each["type"] for each in EXAMPLES) == sorted(SCHEMAS)


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda each: str(each["type"]))
def test_an_example_is_what_its_schema_asks_for(example: dict[str, object]) -> None:
    assert faults(example) == []


def test_what_is_not_asked_for_is_a_fault() -> None:
    (example,) = [each for each in EXAMPLES if each["type"] == "payment.settled"]
    assert faults(example | {"lamport": -1})
    assert faults(example | {"data": example["data"] | {"token": "tok_ok"}})
    assert faults(example | {"type": "payment.forgotten"})
