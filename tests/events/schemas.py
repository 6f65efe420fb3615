"""The published schemas of events, for whoever holds events against them."""

from __future__ import annotations

import json
from typing import Any

from jsonschema import Draft202012Validator

from local.settings import REPOSITORY

SCHEMAS: dict[str, dict[str, Any]] = {
    path.name.removesuffix(".schema.json"): json.loads(path.read_text("utf-8"))
    for path in REPOSITORY.glob("microservices/*/events/*.schema.json")
}


def faults(document: dict[str, Any]) -> list[str]:
    """What is wrong with an event, by the schema of its type."""
    schema = SCHEMAS.get(document["type"])
    if schema is None:
        return [f"no schema of {document['type']}"]
    return [
        f"{document['type']} {error.json_path}: {error.message[:200]}"
        for error in Draft202012Validator(schema).iter_errors(document)
    ]
